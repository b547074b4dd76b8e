"""Measure the search: python tools/benchmark.py COMMAND --help"""

from __future__ import annotations

import argparse

from ean_transfer.cli import ArgumentParser, friendly_errors


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="Measure the search.")
    commands = parser.add_subparsers(dest="command", required=True)

    truth = commands.add_parser(
        "truth", help="train masks from scratch, the ground truth of proxies"
    )
    truth.add_argument("config", help="a classification config with attention")
    truth.add_argument("--masks", type=int, help="how many; all of them by default")
    truth.add_argument("--seeds", type=int, nargs="+", default=[0])
    truth.add_argument("--work-dir", required=True, help="finished trainings are kept here")
    truth.add_argument("--out", help="write the table to this JSON file")
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.launch import load_config

    if args.command == "truth":
        from ean_transfer.benchmark import ground_truth

        cfg = load_config(args.config)
        masks = ground_truth.masks_of(cfg, args.masks)
        table = ground_truth.train_from_scratch(cfg, masks, args.seeds, args.work_dir)
        if args.out:
            table.save(args.out)


if __name__ == "__main__":
    main()
