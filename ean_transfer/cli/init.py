"""The command ``init``: looks at a folder of labelled images and writes a project for it."""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from shlex import quote
from typing import TYPE_CHECKING

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import at_least, positive, read_options
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import expanded

if TYPE_CHECKING:
    from ean_transfer.project.choices import Choices
    from ean_transfer.project.data import Data
    from ean_transfer.project.splits import Splits

TASKS = ("classification", "segmentation", "counting")


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.explain(
        "DATA holds one folder of images per class (classification), images/ and labels/ with PNG "
        "label files of the same names (segmentation), or images and points.csv with the columns "
        "image, x and y (counting). 'ean dataset convert' writes these from other formats."
    )
    parser.epilog = """examples:
  %(prog)s classification data/flowers --out-dir flowers
  %(prog)s segmentation data/cells --out-dir cells --minutes 30
  %(prog)s counting data/crowds --out-dir crowds --network timm:resnet50 --attention ECA \\
      --budget "latency <= 1.05 x plain\""""
    parser.add_argument("task", metavar="TASK", choices=TASKS, help=", ".join(TASKS))
    parser.add_argument("data", metavar="DATA", type=expanded, help="the folder of labelled images")
    parser.add_shared("--out-dir", required=True, help="the project's folder, a new one")
    parser.accept_old("--out", "--out-dir")
    parser.add_argument(
        "--network",
        metavar="NAME",
        help="timm:NAME, torchvision:NAME or transformers:NAME (default: EfficientNet-Lite0)",
    )
    parser.add_argument(
        "--weights",
        dest="source",
        metavar="SOURCE",
        help="pretrained weights: a checkpoint, or a name that train knows; none for random ones "
        "(default: the library's)",
    )
    parser.add_shared("--attention", default="SE", help="the attention")
    parser.add_argument(
        "--budget",
        default="",
        metavar="TEXT",
        help='what the ticket may cost, e.g. "latency <= 1.05 x plain" or "connections <= 3"',
    )
    parser.add_argument(
        "--minutes",
        type=positive,
        metavar="N",
        help="a schedule for the whole study that takes about this long here; some iterations are "
        "timed (default: a schedule by the number of images)",
    )
    parser.add_argument(
        "--seeds",
        type=at_least(1),
        default=1,
        metavar="N",
        help="how often none, full and the ticket are trained; one seed decides nothing, 3 to 6 "
        "tell what differs from what is chance",
    )
    parser.add_shared(
        "--data-option",
        help="an argument of the task's plain data set, e.g. image_suffix=cell.png; may be "
        "repeated",
    )
    parser.accept_old("--option", "--data-option")
    parser.add_shared("--seed", default=0, help="seed of the draw of the images to test on")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Look at the data and the machine, choose, and write the project."""
    from ean_transfer.project.first_look import require_data
    from ean_transfer.project.write import require_new, write_project

    options = read_options(arguments.data_option)
    if not options:  # which may name other folders
        require_data(arguments.task, arguments.data)
    require_new(arguments.out_dir)
    if arguments.out_dir.resolve().is_relative_to(arguments.data.resolve()):
        raise ConfigError(
            f"--out-dir {arguments.out_dir}: expected a folder outside of the data's, "
            f"{arguments.data}, since pictures of the project would be taken for data; choose "
            "another"
        )
    from ean_transfer.attention import attention_options
    from ean_transfer.project.choices import choose, choose_start
    from ean_transfer.project.data import look
    from ean_transfer.project.machine import Machine
    from ean_transfer.project.splits import split_images
    from ean_transfer.search.constraint import Constraint

    attention_options(arguments.attention)  # whose errors name what is unknown
    if arguments.budget:
        Constraint.parse(arguments.budget)
    start = choose_start(arguments.network, arguments.source)
    data, machine = look(arguments.task, arguments.data, options), Machine.here()
    print(data.train.report)
    for part in filter(None, (data.train, data.val)):
        if part.left_out:
            print(f"left out of {part.root}: {len(part.left_out)} images with a fault")
        for warning in part.warnings:
            print(f"warning: {warning}", file=sys.stderr)
    tests = None if data.val is None else data.val.all_images
    splits = split_images(data.train.images, arguments.seed, val=tests)
    choices = choose(
        arguments.task,
        data,
        machine,
        len(splits.train),
        start,
        attention=arguments.attention,
        budget=arguments.budget,
    )
    steps = 32
    if arguments.minutes:
        iterations, steps, minutes = _timed(arguments, data, splits, choices)
        why = choices.why | {"iterations": f"for a study of about {minutes} minutes"}
        choices = replace(choices, iterations=iterations, why=why)
    write_project(arguments.out_dir, arguments.task, data, splits, choices, steps, arguments.seeds)
    out, seeds = arguments.out_dir, arguments.seeds
    print(
        f"\n{out}: train.py, supernet.py, search.py and study.py, to be read and edited\n"
        f"  {len(splits.supernet)} images train the supernet, {len(splits.search)} score masks, "
        f"{len(splits.val)} test\n"
        f"  {choices.network} with {choices.attention}, {choices.iterations} iterations of "
        f"{choices.batch} images, {steps} steps of search, {seeds} seed{'s' * (seeds > 1)}; "
        f"{machine}\n\n"
        f"next:\n  ean run {quote(str(out))}\n  ean ticket show {quote(f'{out}/run/ticket.json')}\n"
        f"  ean predict {quote(f'{out}/train.py')} {quote(f'{out}/run/network.pth')} YOUR_IMAGES"
    )


def _timed(
    arguments: argparse.Namespace, data: Data, splits: Splits, choices: Choices
) -> tuple[int, int, int]:
    """Iterations and steps for the minutes, by a few timed iterations, and minutes they take."""
    from ean_transfer.engine.config import load_config
    from ean_transfer.engine.timing import time_iterations
    from ean_transfer.project.minutes import fit, minutes_of
    from ean_transfer.project.write import write_project

    with tempfile.TemporaryDirectory() as folder:
        write_project(Path(folder), arguments.task, data, splits, choices, 1)
        seconds = time_iterations(load_config(Path(folder) / "train.py")).seconds
    print(f"an iteration takes {seconds:.2f} s here")
    speed = (seconds, choices.batch, len(splits.search), arguments.seeds)
    iterations, steps = fit(arguments.minutes, *speed)
    exactly = minutes_of(iterations, steps, *speed)
    expected = max(1, round(exactly))
    if exactly > arguments.minutes:
        print(
            f"warning: --minutes {arguments.minutes:g} is too short for this network here: the "
            f"shortest schedule, {iterations} iterations per training and {steps} steps of search, "
            f"takes about {expected} minutes",
            file=sys.stderr,
        )
    return iterations, steps, expected
