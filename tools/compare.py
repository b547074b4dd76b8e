"""Compare networks: python tools/compare.py CONFIG none=a.pth full=b.pth --out sheet.png"""

from __future__ import annotations

import argparse
from pathlib import Path

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_networks, require_png
from ean_transfer.errors import ConfigError


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(
        description="Draw test images of segmentation in one picture: image | truth | what each "
        "network sees, and a legend."
    )
    parser.add_argument("config", help="the config that the networks were trained with")
    parser.add_argument(
        "networks", nargs="+", metavar="NAME=CHECKPOINT", help="a title and a checkpoint"
    )
    parser.add_argument("--out", required=True, metavar="FILE.png", help="the picture")
    parser.add_argument(
        "--samples",
        nargs="+",
        type=int,
        metavar="INDEX",
        help="of the test set, from 0; default: four, evenly spread",
    )
    parser.add_argument(
        "--without-images", action="store_true", help="labels alone, on black, without the images"
    )
    parser.add_argument("--device", help="cpu, cuda:0, ...; an accelerator if there is one")
    add_cfg_options(parser)
    args = parser.parse_args()
    try:
        args.networks = {name: file for name, (file,) in read_networks(args.networks).items()}
    except ConfigError as error:
        parser.error(str(error))
    require_png("--out", args.out)
    return args


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.analysis.inspect.compare import compare
    from ean_transfer.engine.config import load_config
    from ean_transfer.engine.inference import write_picture

    cfg = load_config(args.config, args.cfg_options)
    sheet = compare(
        cfg, args.networks, args.samples, args.device, with_images=not args.without_images
    )
    write_picture(Path(args.out), sheet)
    print(f"wrote {args.out}")


if __name__ == "__main__":
    main()
