"""Search a ticket: python tools/search.py configs/classification/toy_search.py"""

from __future__ import annotations

import argparse

from ean_transfer.cli.errors import friendly_errors
from ean_transfer.cli.parser import ArgumentParser, add_cfg_options, read_seed


def parse_args() -> argparse.Namespace:
    parser = ArgumentParser(description="Search where to connect attention.")
    parser.add_argument("config", help="a search config (configs/classification/*_search.py)")
    parser.add_argument(
        "--supernet",
        nargs="+",
        metavar="CHECKPOINT",
        help="a trained supernet, or several of other seeds, whose scores are averaged; trained if "
        "not given",
    )
    parser.add_argument("--work-dir", help="default: work_dirs/<folder>/<name> of the config")
    parser.add_argument("--resume", action="store_true", help="go on with what the work dir holds")
    parser.add_argument("--seed", type=read_seed, help="overrides the config's")
    parser.add_argument("--launcher", choices=["none", "pytorch", "slurm", "mpi"], default="none")
    parser.add_argument("--tensorboard", action="store_true", help="also write TensorBoard events")
    add_cfg_options(parser)
    return parser.parse_args()


@friendly_errors()
def main() -> None:
    args = parse_args()
    from mmengine.dist import is_main_process

    from ean_transfer.engine.config import add_tensorboard, load_config
    from ean_transfer.search.run import run_search

    cfg = load_config(args.config, args.cfg_options)
    if args.tensorboard:
        add_tensorboard(cfg)
    ticket = run_search(
        cfg,
        args.work_dir,
        supernet=args.supernet,
        resume=args.resume,
        seed=args.seed,
        launcher=args.launcher,
    )
    if is_main_process():
        print(f"ticket {ticket} ({ticket.connected} of {ticket.num_blocks} blocks, id {ticket.id})")


if __name__ == "__main__":
    main()
