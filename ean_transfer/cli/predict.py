"""The command ``predict``: one's own images and videos, with a trained network of any task."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.paths import CHECKPOINTS
from ean_transfer.cli.values import at_least, picture, read_config
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.terminal import printable

_TASK_OPTIONS = ("top", "regions", "points")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.explain(
        "NETWORK is CONFIG CHECKPOINT, the work dir of a training (for its last checkpoint, or "
        "followed by another one), or a file of 'ean export'. A "
        "classifier writes the best classes below each image and classes.json; a segmentor the "
        "classes' colours over each image, its label map and labels.json; a counter a heat map "
        "over each image and counts.json. Of a video the result is a video and a table of its "
        "frames. Exit code 1: some image or video could not be read."
    )
    parser.epilog = """examples:
  %(prog)s CONFIG CHECKPOINT photo.jpg --out-dir predicted
  %(prog)s work_dirs/classification/toy photos/ --out-dir predicted --top 3 --sheet sheet.png
  %(prog)s counter.onnx square.mp4 --every 25 --regions doors.json --out-dir counted"""
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="NETWORK IMAGE",
        help="the network; then image files, folders of images, or videos",
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
    parser.add_argument(
        "--top",
        type=at_least(1),
        metavar="N",
        help="classification: number of classes in texts and tables (default: 5)",
    )
    parser.add_argument(
        "--regions",
        metavar="FILE",
        help="counting: also count within polygons, from labelme, GeoJSON or {NAME: [[x, y], ...]}",
    )
    parser.add_argument(
        "--points",
        action="store_true",
        default=None,
        help="counting: also list the density's peaks as points, in points.csv",
    )
    parser.add_argument(
        "--every", type=at_least(1), metavar="N", help="videos: take each N-th frame (default: 1)"
    )
    parser.add_argument(
        "--sheet",
        type=picture,
        metavar="FILE.png",
        help="draw 16 of the images with their results in one picture",
    )
    parser.add_shared("--device", "--json", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Predict, and print one line per image."""
    from mmengine.logging import MMLogger

    from ean_transfer.io.notices import set_terminal
    from ean_transfer.prediction.files import find_images, predict_files, unique_names
    from ean_transfer.prediction.video import is_video, predict_video

    set_terminal(MMLogger.get_current_instance())
    options = _options(arguments)
    network, inputs = _network(arguments.inputs)
    videos = [Path(name) for name in inputs if is_video(name)]
    others = [name for name in inputs if not is_video(name)]
    images = find_images(others) if others else []
    _require_inputs(arguments, images, videos)
    predictor = _predictor(arguments, network, options)
    unread = broken = 0
    if images:
        out = arguments.out_dir
        for image, result in predict_files(predictor, images, out, arguments.sheet):
            if isinstance(result, DataError):
                unread += 1
                _say(arguments, {"image": str(image), "error": str(result)}, f"error: {result}")
            else:
                row = {"image": str(image), **result.entries()}
                _say(arguments, row, f"{image}: {result.text()}")
    for video, name in zip(videos, unique_names(videos), strict=True):
        out = arguments.out_dir
        try:
            written = predict_video(predictor, video, out, arguments.every or 1, name)
        except DataError as error:
            broken += 1
            _say(arguments, {"video": str(video), "error": str(error)}, f"error: {error}")
            continue
        table, shown, frames = written
        row = {"video": str(video), "frames": frames, "table": str(table), "shown": str(shown)}
        _say(arguments, row, f"{video}: {frames} frames; {table.name} and {shown.name}")
    if images and not arguments.json:
        number = f"{len(images) - unread} of {len(images)}"
        print(f"{number} images {predictor.done} in {arguments.out_dir}")
    return 1 if unread or broken else 0


def _require_inputs(arguments: argparse.Namespace, images: list[Path], videos: list[Path]) -> None:
    """Refuse videos that are not there, and options that would have no effect."""
    for video in videos:
        if not video.is_file():
            raise DataError(f"{video}: expected a video, found no such file")
    for name, of, others in (
        ("every", videos, "videos"),
        ("sheet", images, "images"),
    ):
        if getattr(arguments, name) is not None and not of:
            raise ConfigError(f"--{name} is for {others}, and there are none among the inputs")


def _options(arguments: argparse.Namespace) -> dict[str, Any]:
    """The predictor's options that were typed."""
    if arguments.overlap is not None and arguments.tile is None:
        raise ConfigError("--overlap is the overlap of tiles: give their size with --tile")
    options = {name: getattr(arguments, name) for name in _TASK_OPTIONS}
    if arguments.tile is not None:
        overlap = {} if arguments.overlap is None else {"overlap": arguments.overlap}
        options["tiles"] = {"size": arguments.tile, **overlap}
    return {name: value for name, value in options.items() if value is not None}


def _network(inputs: list[str]) -> tuple[list[str], list[str]]:
    """What names the network, and what is left to predict."""
    from ean_transfer.prediction.loading import is_exported

    first, *others = inputs
    has_checkpoint = any(name.endswith(CHECKPOINTS) for name in others[:1])
    # A work dir's checkpoint is its last one, if none is named.
    number = 1 if is_exported(first) or (Path(first).is_dir() and not has_checkpoint) else 2
    if len(inputs) <= number:
        raise ConfigError(
            "expected CONFIG CHECKPOINT, a work dir or an exported file, and then images, found "
            f"{' '.join(inputs)}"
        )
    return inputs[:number], inputs[number:]


def _predictor(arguments: argparse.Namespace, network: list[str], options: dict[str, Any]) -> Any:
    from ean_transfer.engine.config_errors import config_errors
    from ean_transfer.prediction.loading import load

    if len(network) == 1 or Path(network[0]).is_dir():
        if arguments.cfg_options:
            raise ConfigError(f"--cfg-options change a config: give one, not {network[0]}")
        return load(*network, device=arguments.device, **options)
    cfg = read_config(argparse.Namespace(config=network[0], cfg_options=arguments.cfg_options))
    with config_errors(cfg):
        return load(cfg, network[1], device=arguments.device, **options)


def _say(arguments: argparse.Namespace, row: dict[str, Any], text: str) -> None:
    """Print one line: JSON for programs, text for people."""
    print(json.dumps(row) if arguments.json else printable(text), flush=True)
