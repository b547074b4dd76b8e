"""Count one's own images: python tools/predict.py CONFIG CHECKPOINT photo.jpg --out DIR"""

from __future__ import annotations

import argparse

from mmengine.config import DictAction

from ean_transfer.cli import ArgumentParser, friendly_errors, printable


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(
        description="Count the objects of images by a trained counter: writes a heat map over each "
        "image and counts.json. Exit code 1 if some image could not be read."
    )
    parser.add_argument("config", help="the config that the counter was trained with")
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
    parser.add_argument("--cfg-options", nargs="+", action=DictAction, metavar="KEY=VALUE")
    args = parser.parse_args()
    if args.overlap is not None and args.tile is None:
        parser.error("--overlap needs --tile")
    return args


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.crowd_counting.prediction import CrowdCounter, find_images, predict_files
    from ean_transfer.launch import load_config

    tiles = None
    if args.tile is not None:
        tiles = {"size": args.tile}
        if args.overlap is not None:
            tiles["overlap"] = args.overlap
    images = find_images(args.images)
    cfg = load_config(args.config, args.cfg_options)
    counter = CrowdCounter(cfg, args.checkpoint, tiles, args.device)
    failed = 0
    for image, result in predict_files(counter, images, args.out):
        if isinstance(result, float):
            print(f"{printable(str(image))}: {result:.1f}", flush=True)
        else:
            failed += 1
            print(f"error: {printable(str(result))}", flush=True)
    done = len(images) - failed
    print(f"{done} of {len(images)} images counted; pictures and counts.json in {args.out}")
    if failed:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
