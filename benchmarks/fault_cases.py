"""The toy runs that :mod:`~benchmarks.faults` kills: a training, a search and a study.

Each is done and resumed by the same call, and has a result that can be compared.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import load_config
from ean_transfer.engine.training import train
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.hashes import weights_hash
from ean_transfer.search.run import run_search
from ean_transfer.study.plan import StudyPlan, Task
from ean_transfer.study.run import run_study
from ean_transfer.ticket import Ticket

CONFIGS = Path(__file__).parents[1] / "configs"


@dataclass(frozen=True)
class Case:
    """A run that can be stopped and resumed.

    Attributes:
        name: Its name.
        run: Function that does the run in a folder, or continues it there.
        result: Function that returns what must be the same, however often the run was stopped.
        checkpoint: Whether checkpoints are its largest files.
    """

    name: str
    run: Callable[[Path], Any]
    result: Callable[[Path], Any]
    checkpoint: bool = True


def _tiny(name: str, epochs: int = 1) -> Config:
    """A toy config with few images and epochs."""
    cfg = load_config(CONFIGS / f"{name}.py")
    for part, length in (("train", 64), ("val", 40), ("test", 40)):
        loader = cfg[f"{part}_dataloader"]
        loader.dataset.length, loader.batch_size, loader.num_workers = length, 16, 0
        loader.persistent_workers = False
    cfg.train_cfg.update(max_epochs=epochs, val_interval=epochs)
    cfg.param_scheduler, cfg.log_level = [], "WARNING"
    return cfg


def _training(root: Path) -> Case:
    def result(folder: Path) -> Any:
        last = Path(last_checkpoint(folder))
        checkpoint = read_checkpoint(last)
        return last.name, checkpoint["meta"]["iter"], weights_hash(checkpoint["state_dict"])

    cfg = _tiny("classification/toy", epochs=3)
    return Case("training", lambda folder: train(cfg, folder, resume=True, quiet=True), result)


def _search_config() -> Config:
    cfg = _tiny("classification/toy_search")
    cfg.search.update(steps=4, supernets=2, confirm=2)
    return cfg


def _ticket(file: Path) -> Any:
    data = json.loads(file.read_text())
    del data["provenance"]["date"]
    return data


def _search(root: Path) -> Case:
    def result(folder: Path) -> Any:
        texts = [(folder / name).read_text() for name in ("trace.jsonl", "pareto.json")]
        return _ticket(folder / "ticket.json"), texts

    cfg = _search_config()
    return Case("search", lambda folder: run_search(cfg, folder, resume=True, quiet=True), result)


def _study(root: Path) -> Case:
    def dumped(name: str, cfg: Config) -> str:
        cfg.dump(root / f"{name}.py")
        return str(root / f"{name}.py")

    def result(folder: Path) -> Any:
        results = json.loads((folder / "results.json").read_text())
        return results["ticket_id"], results["metrics"]

    counting = _tiny("crowd_counting/toy")
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").save(root / "given.json")
    plan = StudyPlan(
        ticket=str(ticket),
        tasks={
            "classification": Task(
                config=dumped("classification", _tiny("classification/toy")),
                metric="accuracy/top1",
                label="accuracy",
            ),
            "counting": Task(
                config=dumped("counting", counting),
                metric="MAE",
                label="MAE",
                starts_from="classification",
            ),
        },
        arms=("ticket",),
        image_size=24,
        batch_size=2,
    )
    return Case("study", lambda folder: run_study(plan, folder), result)


CASES: dict[str, Callable[[Path], Case]] = {
    "training": _training,
    "search": _search,
    "study": _study,
}
"""Name -> function that makes the run; its argument is a folder for the configs it needs."""
