"""Seconds from the command to the end of the first iteration, against the same without toolkit.

python -m benchmarks.startup [--rounds 5] [--out docs/results/startup.json]

Each measurement is a new process that counts its own processor seconds. Bare is what nobody can
leave out: import torch, mmengine and what the config names, build the model and its data, and take
one step. The rounds are interleaved.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from ean_transfer.io.files import write_atomically
from ean_transfer.io.tables import markdown

CONFIGS = {
    "classification/toy": "model.head.in_channels",
    "segmentation/toy": "model.decode_head.in_channels",
    "crowd_counting/toy": "model.head.in_channels",
}
"""Config -> what the toolkit finds out by itself, which the bare program has to be told."""
_ROOT = Path(__file__).parents[1]
_SECONDS = "import os; t = os.times(); print('seconds', t.user + t.system, flush=True); os._exit(0)"
_BARE = f"""
import sys, torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.optim import build_optim_wrapper
from mmengine.runner import Runner
cfg = Config.fromfile(sys.argv[1])
cfg.merge_from_dict({{sys.argv[3]: 32}})
model = MODELS.build(cfg.model)
model.init_weights()
model.train()
loader = Runner.build_dataloader(cfg.train_dataloader, seed=0)
model.train_step(next(iter(loader)), build_optim_wrapper(model, cfg.optim_wrapper))
{_SECONDS}
"""
_TOOLKIT = f"""
import sys
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop
for loop in (EpochBasedTrainLoop, IterBasedTrainLoop):
    def run_iter(self, *batch, run_iter=loop.run_iter):
        run_iter(self, *batch)
        {_SECONDS}
    loop.run_iter = run_iter
from ean_transfer.cli.main import main
main(["train", sys.argv[1], "--ticket", "full", "--work-dir", sys.argv[2]])
"""
_PROGRAMS = {
    "import torch": f"import torch; {_SECONDS}",
    "bare": _BARE,
    "ean train": _TOOLKIT,
}


def seconds(program: str, config: str) -> float:
    """Processor seconds of a new process until its first iteration ends.

    Raises:
        RuntimeError: It ended before that.
    """
    with TemporaryDirectory() as folder:
        file = str(_ROOT / "configs" / f"{config}.py")
        run = subprocess.run(
            [sys.executable, "-c", program, file, f"{folder}/run", CONFIGS[config]],
            cwd=_ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
        )
    for line in run.stdout.splitlines():
        if line.startswith("seconds "):
            return float(line.split()[1])
    raise RuntimeError(f"{config} did not reach its first iteration: {run.stderr[-500:]}")


def measure(rounds: int) -> dict[str, dict[str, list[float]]]:
    """Config -> program -> processor seconds of each round."""
    every: dict[str, dict[str, list[float]]] = {
        config: {name: [] for name in _PROGRAMS} for config in CONFIGS
    }
    for _ in range(rounds):
        for config, by_program in every.items():
            for name, values in by_program.items():
                values.append(round(seconds(_PROGRAMS[name], config), 3))
    return every


def rows(every: dict[str, dict[str, list[float]]]) -> list[list[str]]:
    """One row per config: medians, and the median of the ratios."""
    table = [["config", *_PROGRAMS, "ean train over bare"]]
    for config, by_program in every.items():
        ratios = np.divide(by_program["ean train"], by_program["bare"])
        medians = [f"{np.median(values):.1f}" for values in by_program.values()]
        table.append([config, *medians, f"{np.median(ratios):.2f}"])
    return table


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--out", type=Path, help="JSON file for every measurement")
    arguments = parser.parse_args()
    every = measure(arguments.rounds)
    print(markdown(rows(every)))
    if arguments.out:
        write_atomically(arguments.out, json.dumps(every, indent=1) + "\n")


if __name__ == "__main__":
    main()
