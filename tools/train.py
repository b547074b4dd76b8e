"""Train any task: python tools/train.py configs/segmentation/toy.py --ticket ticket.json"""

from __future__ import annotations

import argparse

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_seed


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="Train classification, segmentation or crowd counting.")
    parser.add_argument("config")
    parser.add_argument(
        "--ticket", help="none, full, a ticket file or zoo:NAME, for the config's backbone"
    )
    parser.add_argument(
        "--weights",
        help="a checkpoint whose backbone to start from, of any task; torchvision:NAME or "
        "mmpretrain:NAME",
    )
    parser.add_argument("--work-dir", help="default: work_dirs/<folder>/<name> of the config")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--amp", action="store_true", help="mixed precision; on a CPU bfloat16")
    parser.add_argument("--seed", type=read_seed, help="overrides the config's")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    add_cfg_options(parser)
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from ean_transfer.engine.config import add_tensorboard, load_config, set_amp, set_ticket
    from ean_transfer.engine.runner import require_new_work_dir
    from ean_transfer.engine.training import train

    cfg = load_config(args.config, args.cfg_options)
    if not args.resume:
        require_new_work_dir(cfg, args.work_dir)
    if args.ticket:
        set_ticket(cfg, args.ticket)
    if args.amp:
        set_amp(cfg)
    if args.tensorboard:
        add_tensorboard(cfg)
    train(
        cfg,
        args.work_dir,
        weights=args.weights,
        resume=args.resume,
        seed=args.seed,
        launcher=args.launcher,
    )


if __name__ == "__main__":
    main()
