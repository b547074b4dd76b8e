"""Run a study: python tools/study.py configs/study/toy.py --work-dir work_dirs/demo"""

from __future__ import annotations

import argparse
from pathlib import Path

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_seed


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(
        description="Search a ticket, compare arms on several tasks, write a table and a page."
    )
    parser.add_argument("config", help="a study config (configs/study/*.py)")
    parser.add_argument("--work-dir", help="default: work_dirs/<folder>/<name> of the config")
    parser.add_argument("--seed", type=read_seed, help="of the search; overrides its config's")
    add_cfg_options(parser)
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.engine.config import load_config
    from ean_transfer.engine.runner import default_work_dir
    from ean_transfer.io.tables import print_table
    from ean_transfer.study.plan import StudyPlan
    from ean_transfer.study.report import write_report
    from ean_transfer.study.run import run_study

    cfg = load_config(args.config, args.cfg_options)
    work_dir = Path(args.work_dir or default_work_dir(cfg))
    result = run_study(StudyPlan.from_config(cfg), work_dir, search_seed=args.seed)
    title = cfg.get("title", Path(args.config).stem)
    page = write_report(result, work_dir, title=title)
    print_table(result.rows(), title)
    print(f"ticket: {work_dir / 'ticket.json'}\npage:   {page}")


if __name__ == "__main__":
    main()
