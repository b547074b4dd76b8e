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

    table = commands.add_parser("table", help="score all masks of a supernet")
    table.add_argument("config", help="the supernet's config")
    table.add_argument("--supernet", required=True, help="its checkpoint")
    table.add_argument("--out", required=True, help="the table's file (.npz)")
    table.add_argument("--bn", nargs="+", default=["batch", "running"], help="statistics")
    table.add_argument("--test-per-class", type=int, default=100, help="test images a class")

    commands.add_parser("scoring", help="masks scored together against one at a time")
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
    elif args.command == "table":
        from ean_transfer.benchmark.tables import make_table

        make_table(
            load_config(args.config),
            args.supernet,
            args.out,
            bn=args.bn,
            test_per_class=args.test_per_class,
        )
    elif args.command == "scoring":
        from ean_transfer.benchmark.scoring import scoring_cases

        for case in scoring_cases():
            print(
                f"{case.name:26} together {case.together:7.3f} s, alone {case.alone:7.3f} s: "
                f"{case.ratio:.2f} x as fast; the counts are "
                f"{'equal' if case.equal else 'DIFFERENT'}",
                flush=True,
            )


if __name__ == "__main__":
    main()
