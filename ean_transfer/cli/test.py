"""The command ``test``: evaluates a checkpoint on the config's test set."""

from __future__ import annotations

import argparse

from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.switches import DATA, read_changed_config


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", "checkpoint")
    parser.add_shared(
        "--ticket", help="none, full, a ticket file or zoo:NAME (default: the checkpoint's own)"
    )
    parser.add_argument(
        "--tta", action="store_true", help="segmentation: average over sizes and mirrored images"
    )
    parser.add_shared(*DATA)
    parser.add_shared("--work-dir", "--device", "--launcher", "--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Evaluate, and print the metrics."""
    from mmengine.dist import is_main_process

    from ean_transfer.engine.config import set_ticket
    from ean_transfer.engine.metrics import value_text
    from ean_transfer.engine.runner import work_dir_of
    from ean_transfer.engine.training import evaluate
    from ean_transfer.prediction.extremes import NAME, ExtremesHook

    cfg = read_changed_config(arguments, "test_dataloader")
    if arguments.ticket:
        set_ticket(cfg, arguments.ticket)
    if arguments.tta:
        from ean_transfer.segmentation.tta import set_tta

        set_tta(cfg)
    extremes = ExtremesHook(work_dir_of(cfg, arguments.work_dir) / NAME)
    metrics = evaluate(
        cfg,
        arguments.checkpoint,
        arguments.work_dir,
        use_its_ticket=arguments.ticket is None,
        launcher=arguments.launcher,
        hooks=[extremes],
    )
    if not is_main_process():
        return
    if not metrics:
        print("no metrics: the test set has no labels")
    for name, value in metrics.items():
        print(f"{name}: {value_text(name, value)}")
    if extremes.drawn:
        print(f"the most wrong and the most right images: {extremes.file}")
