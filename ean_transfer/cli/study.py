"""The command ``study``: runs a study config and shows its table."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ean_transfer.cli.parser import ArgumentParser, read_config

if TYPE_CHECKING:
    from mmengine.config import Config

    from ean_transfer.study.result import StudyResult


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the command's arguments and the function that runs it."""
    parser.add_shared("config", help="a study config (configs/study/*.py)")
    parser.add_shared("--work-dir")
    parser.add_shared("--seed", help="seed of the search; overrides the search config's")
    parser.add_shared("--verbose", "--cfg-options")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> None:
    """Run the study, continuing one that was stopped; print its table and write its page."""
    from ean_transfer.engine.runner import default_work_dir

    cfg = read_config(arguments)
    work_dir = Path(arguments.work_dir or default_work_dir(cfg))
    run_and_show(cfg, work_dir, search_seed=arguments.seed)


def run_and_show(cfg: Config, work_dir: Path, **options: Any) -> StudyResult:
    """Run a study's config, write its page, and print its table and where everything is.

    Args:
        cfg: The config.
        work_dir: The study's folder.
        options: Other arguments of :func:`~ean_transfer.study.run.run_study`.
    """
    from ean_transfer.io.tables import print_table
    from ean_transfer.study.plan import StudyPlan
    from ean_transfer.study.report import write_report
    from ean_transfer.study.run import run_study

    result = run_study(StudyPlan.from_config(cfg), work_dir, **options)
    title = cfg.get("title", Path(cfg.filename).stem)
    page = write_report(result, work_dir, title=title)
    if result.doubt:
        print(result.doubt)
    for verdict in result.verdicts:
        print(f"{verdict.claim}: {verdict.text}")
    print_table(result.rows(), title)
    print(f"ticket: {work_dir / 'ticket.json'}\npage:   {page}")
    return result
