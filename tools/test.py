"""Evaluate a checkpoint: python tools/test.py CONFIG CHECKPOINT --ticket ticket.json"""

from __future__ import annotations

import argparse

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="Evaluate a checkpoint on the test set.")
    parser.add_argument("config")
    parser.add_argument("checkpoint")
    parser.add_argument(
        "--ticket", help="none, full, a ticket file or zoo:NAME; the checkpoint's by default"
    )
    parser.add_argument(
        "--tta", action="store_true", help="segmentation: average over sizes and mirrored images"
    )
    parser.add_argument("--work-dir", help="default: work_dirs/<folder>/<name> of the config")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    add_cfg_options(parser)
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.engine.config import load_config, set_ticket
    from ean_transfer.engine.training import evaluate

    cfg = load_config(args.config, args.cfg_options)
    if args.ticket:
        set_ticket(cfg, args.ticket)
    if args.tta:
        from ean_transfer.segmentation.tta import set_tta

        set_tta(cfg)
    metrics = evaluate(
        cfg,
        args.checkpoint,
        args.work_dir,
        use_its_ticket=args.ticket is None,
        launcher=args.launcher,
    )
    if not metrics:
        print("no metrics: the test set has no labels")
    for name, value in metrics.items():
        print(f"{name}: {value:.4g}")


if __name__ == "__main__":
    main()
