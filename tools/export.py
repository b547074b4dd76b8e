"""Export a trained network: python tools/export.py CONFIG CHECKPOINT --format onnx"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options
from ean_transfer.io.terminal import printable


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(
        description="Write a trained classifier, segmentor or counter as a file that takes pixels, "
        "images of any size in batches of any size, and check it against the network as it was "
        "trained. Exit code 1 if the network cannot be exported, or the file would differ."
    )
    parser.add_argument("config", help="the config that the network was trained with")
    parser.add_argument("checkpoint", help="its checkpoint, with the ticket it carries")
    parser.add_argument(
        "--format",
        choices=["onnx", "torch-export", "checkpoint"],
        default="onnx",
        help="ONNX (default), torch.export's .pt2, or a checkpoint of what is left after folding",
    )
    parser.add_argument(
        "--fold",
        choices=["auto", "never"],
        default="auto",
        help="auto (default): fold attention that the ticket says is to be folded",
    )
    parser.add_argument(
        "--out", metavar="FILE", help="default: beside the checkpoint and named after it"
    )
    parser.add_argument(
        "--image-size",
        nargs=2,
        type=int,
        default=[64, 96],
        metavar=("H", "W"),
        help="pixels of the images it is traced and checked with (default: 64 96)",
    )
    add_cfg_options(parser)
    return parser.parse_args()


@friendly_errors()
def main() -> int:
    args = parse_args()
    from ean_transfer.engine.config import load_config
    from ean_transfer.export import FORMATS, Deployment, ExportError, require_ready
    from ean_transfer.ticket.display import summary

    checkpoint = Path(args.checkpoint)
    name = "exported_" if args.format == "checkpoint" else ""
    beside = checkpoint.with_name(f"{name}{checkpoint.stem}{FORMATS[args.format]}")
    out = Path(args.out) if args.out else beside
    require_ready(out, args.format)
    cfg = load_config(args.config, args.cfg_options)
    network = Deployment(cfg, checkpoint, args.fold)

    print(f"ticket: {summary(network.trained_ticket) if network.trained_ticket else 'none'}")
    if network.folded:
        print(f"folded {network.folded} blocks; ticket of the file: {summary(network.ticket)}")
    else:
        waits = network.ticket is not None and network.ticket.to_fold
        print(f"not folded: {'as --fold never says' if waits else 'nothing to fold'}")
    if network.cuts_images:
        print("the config's windows or tiles stay outside: the file takes images whole")
    sys.stdout.flush()
    try:
        found = network.write(out, args.format, tuple(args.image_size))
    except ExportError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    print("largest differences from the network as trained, on images of random pixels:")
    for output, value in found.items():
        print(f"  {output:8} {value:.1e}")
    print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
