"""The command ``inspect``: pictures of what trained networks look at, side by side."""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from ean_transfer.cli.output import write_json
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import picture, read_config, read_networks
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import refuse_to_replace
from ean_transfer.io.terminal import printable


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the commands, their arguments and the functions that run them."""
    parser.epilog = """examples:
  %(prog)s gradcam CONFIG none=a.pth full=b.pth ticket=c.pth --out gradcam.png
  %(prog)s similarity CONFIG full=b.pth ticket=c.pth --out similarity.png
  %(prog)s robustness CONFIG none=a0.pth,a1.pth full=b0.pth,b1.pth --out robustness.png
  %(prog)s compare CONFIG none=a.pth full=b.pth --out labels.png

All but compare also write their numbers to a .json file next to the picture."""
    commands = parser.add_commands()

    gradcam = commands.add_parser(
        "gradcam",
        help="classification: where networks look (Grad-CAM), one test image per row",
        description="Draw Grad-CAM of test images: image | each network. Needs captum: "
        'pip install -e ".[inspect]"',
    )
    _add_networks(gradcam)
    gradcam.add_shared(
        "--samples", help="indices in the test set, from 0 (default: one per class, at most ten)"
    )
    gradcam.add_argument(
        "--stage",
        type=int,
        metavar="N",
        help="stage whose output is explained, from 1 (default: the last)",
    )
    gradcam.add_argument(
        "--target",
        choices=("true", "predicted"),
        default="true",
        help="the class to explain",
    )
    gradcam.add_shared("--seed", default=0, help="seed of the draw of images")
    gradcam.add_shared("--without-images", "--device", "--cfg-options")
    gradcam.set_defaults(run=run_gradcam)

    similarity = commands.add_parser(
        "similarity",
        help="classification: how alike the attention of a network's blocks is",
        description="Draw the correlation of attention values between the blocks of each stage. "
        "Networks without attention are left out.",
    )
    _add_networks(similarity)
    similarity.add_shared("--images", default=500, help="how many test images, drawn with the seed")
    similarity.add_shared("--seed", default=0, help="seed of the draw of images")
    similarity.add_shared("--device", "--cfg-options")
    similarity.set_defaults(run=run_similarity)

    robustness = commands.add_parser(
        "robustness",
        help="classification: accuracy under noise in the network and corrupted images",
        description="Draw accuracy over the strength of noise after each BatchNorm and of "
        "corruptions of the images. Several checkpoints of a name give a mean and a band of one "
        "standard deviation.",
    )
    _add_networks(robustness, several=True)
    robustness.add_shared(
        "--images", default=1000, help="how many test images, drawn with the seed"
    )
    robustness.add_shared("--seed", default=0, help="seed of the images, noise and corruptions")
    robustness.add_shared("--device", "--cfg-options")
    robustness.set_defaults(run=run_robustness)

    compare = commands.add_parser(
        "compare",
        help="segmentation: networks' label maps next to the true one",
        description="Draw test images in one picture: image | truth | each network, and a legend.",
    )
    _add_networks(compare)
    compare.add_shared(
        "--samples", help="indices in the test set, from 0 (default: four, evenly spread)"
    )
    compare.add_shared("--without-images", "--device", "--cfg-options")
    compare.set_defaults(run=run_compare)


def _add_networks(parser: ArgumentParser, several: bool = False) -> None:
    parser.add_shared("config")
    if several:
        parser.add_shared(
            "networks",
            metavar="NAME=CHECKPOINT[,CHECKPOINT...]",
            help="a title and the checkpoints, one per seed, for each network",
        )
    else:
        parser.add_shared("networks")
    parser.add_shared("--out", type=picture, required=True, metavar="FILE.png", help="the picture")


def run_gradcam(arguments: argparse.Namespace) -> None:
    """Draw Grad-CAM of each network."""
    networks = _single(arguments)
    _numbers_file(arguments)
    from ean_transfer.analysis.inspect.gradcam import gradcam_sheet
    from ean_transfer.visualization.picture import write_picture

    sheet, numbers = gradcam_sheet(
        read_config(arguments),
        networks,
        arguments.samples,
        stage=arguments.stage,
        target=arguments.target,
        seed=arguments.seed,
        device=arguments.device,
        with_images=not arguments.without_images,
    )
    write_picture(arguments.out, sheet)
    _write_numbers(arguments, networks, numbers)


def run_similarity(arguments: argparse.Namespace) -> None:
    """Draw and print how alike the attention of the blocks is."""
    networks = _single(arguments)
    _numbers_file(arguments)
    from ean_transfer.analysis.inspect.similarity import draw_similarity, measure_similarity

    measured = measure_similarity(
        read_config(arguments), networks, arguments.images, arguments.seed, arguments.device
    )
    for name in networks:
        if name in measured:
            means = ", ".join(
                f"stage {stage} {'-' if math.isnan(mean) else f'{mean:.2f}'}"
                for stage, mean in enumerate(measured[name].of_stages, start=1)
            )
            print(printable(f"{name}: mean correlation of blocks: {means}"))
        else:
            print(printable(f"{name}: no attention, left out"))
    draw_similarity(measured, arguments.out)
    numbers = {"networks": {name: one.as_json() for name, one in measured.items()}}
    _write_numbers(arguments, networks, numbers)


def run_robustness(arguments: argparse.Namespace) -> None:
    """Draw and print accuracy under noise and corruptions."""
    networks = read_networks(arguments.networks, several=True)
    _numbers_file(arguments)
    from dataclasses import asdict

    from ean_transfer.analysis.inspect.robustness import draw_robustness, measure_robustness

    measured = measure_robustness(
        read_config(arguments), networks, arguments.images, arguments.seed, arguments.device
    )
    for name, clean in measured.clean.items():
        print(printable(f"{name}: clean {fmean(clean):.2f} %"))
        for curve in measured.curves:
            means = "  ".join(f"{mean:5.2f}" for mean in curve.means(name).mean(axis=0))
            print(f"  {curve.name:31} {means}")
    draw_robustness(measured, arguments.out)
    _write_numbers(arguments, networks, asdict(measured))


def run_compare(arguments: argparse.Namespace) -> None:
    """Draw each network's label maps next to the true one."""
    networks = _single(arguments)
    from ean_transfer.analysis.inspect.compare import compare
    from ean_transfer.visualization.picture import write_picture

    sheet = compare(
        read_config(arguments),
        networks,
        arguments.samples,
        arguments.device,
        with_images=not arguments.without_images,
    )
    write_picture(arguments.out, sheet)
    print(f"wrote {arguments.out}")


def _single(arguments: argparse.Namespace) -> dict[str, str]:
    """Name -> checkpoint, where a name has one."""
    named = {name: file for name, (file,) in read_networks(arguments.networks).items()}
    for name, file in named.items():
        if "," in file and not Path(file).exists():
            raise ConfigError(f"expected one checkpoint for {name}, found {file}")
    return named


def _numbers_file(arguments: argparse.Namespace) -> Path:
    """The file of the numbers behind a picture, which lies next to it.

    Raises:
        ConfigError: The file exists and no earlier run wrote it.
    """
    file: Path = arguments.out.with_suffix(".json")
    refuse_to_replace(
        [file], "another --out, which has its numbers in a .json next to it", _is_ours
    )
    return file


def _is_ours(file: Path) -> bool:
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(content, dict) and {"config", "checkpoints", "seed"} <= content.keys()


def _write_numbers(
    arguments: argparse.Namespace, networks: Mapping[str, Any], numbers: Mapping[str, Any]
) -> None:
    """Write a picture's numbers, and what they were measured on, next to it."""
    file = _numbers_file(arguments)
    origin = {"config": arguments.config, "checkpoints": networks, "seed": arguments.seed}
    write_json(file, {**origin, **numbers})
    print(f"wrote {arguments.out} and {file}")
