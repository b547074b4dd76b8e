"""The command ``predict``: counts or segments one's own images with a trained network."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from ean_transfer.cli.parser import ArgumentParser, read_config
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.terminal import printable

if TYPE_CHECKING:
    from mmengine.config import Config


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.explain(
        "A counter writes a heat map over each image and counts.json; a segmentor the classes' "
        "colours over each image, its label map and labels.json. Exit code 1: some image could "
        "not be read."
    )
    parser.add_shared("config", "checkpoint")
    parser.add_argument(
        "images", nargs="+", metavar="IMAGE", help="image files, or folders of images"
    )
    parser.add_shared("--out-dir", required=True)
    parser.accept_old("--out", "--out-dir")
    parser.add_argument(
        "--tile",
        type=int,
        metavar="PIXELS",
        help="cut images that are too large for memory into tiles of this side",
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="overlap of the tiles (default: about a quarter)",
    )
    parser.add_shared("--device", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict, and print one line per image."""
    from ean_transfer.engine.config_errors import config_errors
    from ean_transfer.engine.inference import find_images

    if arguments.overlap is not None and arguments.tile is None:
        raise ConfigError("--overlap is the overlap of tiles: give their size with --tile")
    tiles = None
    if arguments.tile is not None:
        tiles = {"size": arguments.tile}
        if arguments.overlap is not None:
            tiles["overlap"] = arguments.overlap
    images = find_images(arguments.images)
    cfg = read_config(arguments)
    task = _task_of(cfg)
    with config_errors(cfg):
        predictor = task.predictor(cfg, arguments.checkpoint, tiles, arguments.device)
    failed = 0
    for image, result in task.predict_files(predictor, images, arguments.out_dir):
        if isinstance(result, DataError):
            failed += 1
            print(f"error: {printable(str(result))}", flush=True)
        else:
            print(f"{printable(str(image))}: {task.text(result)}", flush=True)
    print(f"{len(images) - failed} of {len(images)} images {task.done} in {arguments.out_dir}")
    return 1 if failed else 0


class _Task(NamedTuple):
    """How images are predicted in one task.

    Attributes:
        predictor: Builds the predictor from config, checkpoint, tiles and device.
        predict_files: Predicts images one by one and writes their files.
        text: Text of one image's result.
        done: End of the last line that is printed.
    """

    predictor: Callable[..., Any]
    predict_files: Callable[..., Iterator[tuple[Path, Any]]]
    text: Callable[[Any], str]
    done: str


def _task_of(cfg: Config) -> _Task:
    from mmseg.models import EncoderDecoder

    from ean_transfer.crowd_counting import DensityCounter
    from ean_transfer.crowd_counting import inference as counting
    from ean_transfer.engine.config import model_class
    from ean_transfer.segmentation import inference as segmentation

    model = model_class(cfg)
    if issubclass(model, DensityCounter):
        done = "counted; pictures and counts.json"
        return _Task(counting.CrowdCounter, counting.predict_files, "{:.1f}".format, done)
    if issubclass(model, EncoderDecoder):
        done = "segmented; overlays, label maps and labels.json"
        return _Task(segmentation.Segmenter, segmentation.predict_files, _largest_shares, done)
    raise ConfigError(
        f"{cfg.filename}: expected DensityCounter (counting) or EncoderDecoder (segmentation) "
        f"as its model, found {model.__name__}"
    )


def _largest_shares(shares: dict[str, float], number: int = 3) -> str:
    largest = sorted(shares.items(), key=lambda item: item[1], reverse=True)[:number]
    return ", ".join(f"{name} {share:.0%}" for name, share in largest if share > 0)
