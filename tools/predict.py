"""Predict one's own images: python tools/predict.py CONFIG CHECKPOINT photo.jpg --out DIR"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from mmengine.config import Config

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options
from ean_transfer.io.terminal import printable


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(
        description="Predict images by a trained counter or segmentor. A counter writes a heat map "
        "over each image and counts.json, a segmentor the classes' colours over each image, its "
        "label map and labels.json. Exit code 1 if some image could not be read."
    )
    parser.add_argument("config", help="the config that the network was trained with")
    parser.add_argument("checkpoint", help="its checkpoint, with the ticket it carries")
    parser.add_argument("images", nargs="+", help="image files, or folders of images")
    parser.add_argument("--out", required=True, metavar="DIR", help="where everything is written")
    parser.add_argument(
        "--tile", type=int, metavar="PIXELS", help="side of a tile, for images too large for memory"
    )
    parser.add_argument(
        "--overlap",
        type=int,
        metavar="PIXELS",
        help="what tiles share; default: about a quarter",
    )
    parser.add_argument("--device", help="cpu, cuda:0, ...; an accelerator if there is one")
    add_cfg_options(parser)
    args = parser.parse_args()
    if args.overlap is not None and args.tile is None:
        parser.error("--overlap needs --tile")
    return args


class Task(NamedTuple):
    predictor: Callable[..., Any]
    predict_files: Callable[..., Iterator[tuple[Path, Any]]]
    text: Callable[[Any], str]  # of a result
    done: str


def task_of(cfg: Config) -> Task:
    from mmseg.models import EncoderDecoder

    from ean_transfer.crowd_counting import DensityCounter
    from ean_transfer.crowd_counting import inference as counting
    from ean_transfer.engine.inference import model_class
    from ean_transfer.errors import ConfigError
    from ean_transfer.segmentation import inference as segmentation

    model = model_class(cfg)
    if issubclass(model, DensityCounter):
        done = "counted; pictures and counts.json"
        return Task(counting.CrowdCounter, counting.predict_files, "{:.1f}".format, done)
    if issubclass(model, EncoderDecoder):
        done = "segmented; overlays, label maps and labels.json"
        return Task(segmentation.Segmenter, segmentation.predict_files, largest_shares, done)
    raise ConfigError(
        f"{cfg.filename}: expected DensityCounter (counting) or EncoderDecoder (segmentation) "
        f"as its model, found {model.__name__}"
    )


def largest_shares(share: dict[str, float], number: int = 3) -> str:
    largest = sorted(share.items(), key=lambda item: item[1], reverse=True)[:number]
    return ", ".join(f"{name} {value:.0%}" for name, value in largest if value > 0)


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.engine.config import load_config
    from ean_transfer.engine.inference import find_images
    from ean_transfer.errors import DataError

    tiles = None
    if args.tile is not None:
        tiles = {"size": args.tile}
        if args.overlap is not None:
            tiles["overlap"] = args.overlap
    images = find_images(args.images)
    cfg = load_config(args.config, args.cfg_options)
    task = task_of(cfg)
    predictor = task.predictor(cfg, args.checkpoint, tiles, args.device)
    failed = 0
    for image, result in task.predict_files(predictor, images, args.out):
        if isinstance(result, DataError):
            failed += 1
            print(f"error: {printable(str(result))}", flush=True)
        else:
            print(f"{printable(str(image))}: {task.text(result)}", flush=True)
    print(f"{len(images) - failed} of {len(images)} images {task.done} in {args.out}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
