"""The command ``export``: writes a trained network for deployment and checks the file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, read_config
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded
from ean_transfer.io.terminal import printable


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.explain(
        "The file takes pixels: images of any size, in batches of any size. Its outputs are "
        "compared with the trained network's. Exit code 1: the network cannot be exported, or the "
        "outputs differ."
    )
    parser.add_shared("config", "checkpoint")
    parser.add_argument(
        "--format",
        choices=("onnx", "torch-export", "checkpoint"),
        default="onnx",
        help="ONNX, torch.export's .pt2, or a checkpoint of the folded network",
    )
    parser.add_argument(
        "--fold",
        choices=("auto", "never"),
        default="auto",
        help="auto: fold the attention that the ticket marks for folding",
    )
    parser.add_argument(
        "--optimize",
        action="store_true",
        help="fold BatchNorm into the convolutions; torch-export: weights channels-last where "
        "that is faster here",
    )
    # Its folder is made if it is missing, but for nothing before the network has been built.
    parser.add_shared(
        "--out",
        type=expanded,
        help="the file to write (default: next to the checkpoint, with its name; a checkpoint at "
        "an address needs one)",
    )
    parser.add_shared(
        "--image-size",
        nargs=2,
        type=at_least(1),
        default=[64, 96],
        metavar=("H", "W"),
        help="size in pixels of the images to trace and check with",
    )
    parser.add_argument(
        "--opset", type=int, metavar="N", help="onnx: version of the operators (default: 18)"
    )
    parser.add_argument(
        "--static",
        type=_shape,
        metavar="N,H,W",
        help="fix the number and the size of the images, for runtimes that plan ahead",
    )
    parser.add_argument(
        "--half", action="store_true", help="half precision; input and outputs stay float32"
    )
    parser.add_argument(
        "--labels",
        choices=("int64", "uint8"),
        default="int64",
        help="segmentation: type of the labels",
    )
    parser.add_shared("--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    """Export, and print what was folded and how far the outputs differ."""
    from ean_transfer.attachment.batchnorm import norms_of
    from ean_transfer.export import (
        FORMATS,
        Deployment,
        ExportError,
        GraphOptions,
        require_ready,
    )
    from ean_transfer.ticket.display import summary

    checkpoint = arguments.checkpoint
    out = arguments.out or _beside(checkpoint, FORMATS[arguments.format])
    require_ready(out, arguments.format)
    options = GraphOptions(
        opset=arguments.opset,
        static=arguments.static,
        half=arguments.half,
        labels=arguments.labels,
    )
    size = tuple(arguments.image_size)
    network = Deployment(
        read_config(arguments),
        checkpoint,
        arguments.fold,
        arguments.optimize,
        options.static[1:] if options.static else size,
    )

    print(f"ticket: {summary(network.trained_ticket) if network.trained_ticket else 'none'}")
    if network.folded and network.ticket:
        print(f"folded {network.folded} blocks; ticket of the file: {summary(network.ticket)}")
    else:
        could_fold = network.ticket is not None and network.ticket.to_fold
        print(f"not folded: {'because of --fold never' if could_fold else 'nothing to fold'}")
    if arguments.optimize:
        norms = len(norms_of(network.trained))
        print(f"optimized: {len(network.folded_norms)} of {norms} BatchNorms folded")
    if network.cuts_images:
        print("the config's sliding window or tiles are left out: the file takes whole images")
    sys.stdout.flush()  # what follows can take a minute
    try:
        differences = network.write(out, arguments.format, size, options)
    except ExportError as error:
        print(f"error: {printable(str(error))}", file=sys.stderr)
        return 1
    if network.channels_last:
        print("optimized: weights channels-last, which is faster here")
    print("largest differences from the trained network, on images of random pixels:")
    for output, difference in differences.items():
        print(f"  {output:8} {difference:.1e}")
    print(f"wrote {out} ({out.stat().st_size / 1e6:.2f} MB)")
    return 0


def _beside(checkpoint: str, suffix: str) -> Path:
    """The file to write for a checkpoint where the command line names none."""
    file = expanded(checkpoint.partition("#sha256=")[0])
    if not file.exists():  # an address, since files that are missing are refused before
        raise ConfigError(
            f"--out: expected a file to write, since {checkpoint} has no folder here, found none"
        )
    prefix = "exported_" if suffix == ".pth" else ""
    return file.with_name(f"{prefix}{file.stem}{suffix}")


def _shape(text: str) -> tuple[int, ...]:
    """Three whole numbers; for ``type=`` of an argument."""
    parts = text.split(",")
    if len(parts) != 3 or not all(part.isdecimal() for part in parts):
        raise argparse.ArgumentTypeError(f"expected N,H,W, e.g. 1,224,224, found {text}")
    return tuple(map(int, parts))
