"""Look inside trained classifiers, several side by side.

examples:
  python tools/look.py gradcam CONFIG none=a.pth full=b.pth ticket=c.pth --out gradcam.png
  python tools/look.py similarity CONFIG full=b.pth ticket=c.pth --out similarity.png
  python tools/look.py robustness CONFIG none=a0.pth,a1.pth full=b0.pth,b1.pth --out robustness.png

Beside each picture lies a .json of the same name with all numbers.
"""

from __future__ import annotations

import argparse
import json
import math
from pathlib import Path
from statistics import fmean
from typing import Any

from mmengine.config import Config

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import (
    ArgumentParser,
    add_cfg_options,
    read_networks,
    read_seed,
    require_png,
)
from ean_transfer.errors import ConfigError
from ean_transfer.io.terminal import printable


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    gradcam = commands.add_parser(
        "gradcam",
        help="where networks look: Grad-CAM on test images, a row each",
        description="Draw Grad-CAM of test images: image | each network. Needs captum: "
        'pip install -e ".[inspect]"',
    )
    _add_networks(gradcam)
    gradcam.add_argument(
        "--samples",
        nargs="+",
        type=int,
        metavar="INDEX",
        help="of the test set, from 0; default: one drawn of each class, of up to ten classes",
    )
    gradcam.add_argument("--stage", type=int, help="whose output is looked at, from 1 (the last)")
    gradcam.add_argument(
        "--target",
        choices=("true", "predicted"),
        default="true",
        help="the class to explain (default: true)",
    )
    gradcam.add_argument(
        "--without-images", action="store_true", help="the maps alone, on black, without the images"
    )

    similarity = commands.add_parser(
        "similarity",
        help="how alike the attention of a network's blocks is",
        description="Draw the correlation between the attention values of the blocks of a stage. "
        "Networks without attention are left out.",
    )
    _add_networks(similarity)
    similarity.add_argument(
        "--images", type=int, default=500, help="of the test set, drawn by the seed (default: 500)"
    )

    robustness = commands.add_parser(
        "robustness",
        help="accuracy under noise in the network and corruptions of the images",
        description="Draw accuracy over the strength of noise after each BatchNorm and of "
        "corruptions of the images. With several checkpoints to a name, the mean and a band of "
        "their standard deviation.",
    )
    _add_networks(robustness, several=True)
    robustness.add_argument(
        "--images",
        type=int,
        default=1000,
        help="of the test set, drawn by the seed (default: 1000; more than it has: all)",
    )

    args = parser.parse_args()
    try:
        args.networks = read_networks(args.networks, several=True)
    except ConfigError as error:
        parser.error(str(error))
    if args.command != "robustness":
        if several := [name for name, files in args.networks.items() if len(files) > 1]:
            parser.error(f"expected one checkpoint for {several[0]}, found more")
        args.networks = {name: file for name, (file,) in args.networks.items()}
    require_png("--out", args.out)
    if getattr(args, "images", 1) < 1:
        parser.error(f"expected --images of 1 or more, found {args.images}")
    return args


def _add_networks(parser: argparse.ArgumentParser, several: bool = False) -> None:
    parser.add_argument("config", help="the config that the networks were trained with")
    parser.add_argument(
        "networks",
        nargs="+",
        metavar="NAME=CHECKPOINT[,CHECKPOINT...]" if several else "NAME=CHECKPOINT",
        help="a title and its checkpoints, one a seed" if several else "a title and a checkpoint",
    )
    parser.add_argument("--out", required=True, metavar="FILE.png", help="the picture")
    parser.add_argument("--seed", type=read_seed, default=0, help="of all draws (default: 0)")
    parser.add_argument("--device", help="cpu, cuda:0, ...; an accelerator if there is one")
    add_cfg_options(parser)


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.engine.config import load_config
    from ean_transfer.io.files import write_atomically

    cfg = load_config(args.config, args.cfg_options)
    found = {"gradcam": gradcam, "similarity": similarity, "robustness": robustness}[args.command](
        cfg, args, Path(args.out)
    )
    numbers = Path(args.out).with_suffix(".json")
    circumstances = {"config": args.config, "checkpoints": args.networks, "seed": args.seed}
    write_atomically(numbers, json.dumps({**circumstances, **found}, indent=1) + "\n")
    print(f"wrote {args.out} and {numbers}")


def gradcam(cfg: Config, args: argparse.Namespace, out: Path) -> dict[str, Any]:
    from ean_transfer.analysis.inspect.gradcam import gradcam_sheet
    from ean_transfer.engine.inference import write_picture

    sheet, numbers = gradcam_sheet(
        cfg,
        args.networks,
        args.samples,
        stage=args.stage,
        target=args.target,
        seed=args.seed,
        device=args.device,
        with_images=not args.without_images,
    )
    write_picture(out, sheet)
    return numbers


def similarity(cfg: Config, args: argparse.Namespace, out: Path) -> dict[str, Any]:
    from ean_transfer.analysis.inspect.similarity import draw_similarity, measure_similarity

    found = measure_similarity(cfg, args.networks, args.images, args.seed, args.device)
    for name in args.networks:
        if name in found:
            means = ", ".join(
                f"stage {stage} {'-' if math.isnan(mean) else f'{mean:.2f}'}"
                for stage, mean in enumerate(found[name].of_stages, start=1)
            )
            print(printable(f"{name}: mean correlation of blocks: {means}"))
        else:
            print(printable(f"{name}: no attention, left out"))
    draw_similarity(found, out)
    return {"networks": {name: one.as_json() for name, one in found.items()}}


def robustness(cfg: Config, args: argparse.Namespace, out: Path) -> dict[str, Any]:
    from dataclasses import asdict

    from ean_transfer.analysis.inspect.robustness import draw_robustness, measure_robustness

    found = measure_robustness(cfg, args.networks, args.images, args.seed, args.device)
    for name, clean in found.clean.items():
        print(printable(f"{name}: clean {fmean(clean):.2f} %"))
        for curve in found.curves:
            means = "  ".join(f"{mean:5.2f}" for mean in curve.means(name).mean(axis=0))
            print(f"  {curve.name:31} {means}")
    draw_robustness(found, out)
    return asdict(found)


if __name__ == "__main__":
    main()
