"""One run of a study: its config, its folder, its start; trained, tested and written down."""

from __future__ import annotations

import copy
import gc
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from numbers import Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config

from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import import_custom_modules
from ean_transfer.engine.hooks.resources import training_cost
from ean_transfer.engine.training import train
from ean_transfer.io.files import locked, write_atomically
from ean_transfer.study.arms import Arm
from ean_transfer.study.identity import RESULTS, RUN, config_digest, read_results, write_identity
from ean_transfer.study.networks import Networks, set_arm, without_attention
from ean_transfer.study.plan import StudyPlan
from ean_transfer.study.result import Run, json_text
from ean_transfer.study.samples import draw_samples


@dataclass(frozen=True)
class Job:
    """One run of a study, before it is done.

    Attributes:
        task: Name of the task.
        arm: The arm.
        seed: The study's seed that the run belongs to.
        train_seed: The seed that it is trained with; the first one if its task is trained once.
        ticket: The network's mask, for the table.
        cfg: The task's config with the arm and the seed set.
        folder: The run's work dir.
        identity: What tells it from another run, see :mod:`~ean_transfer.study.identity`.
        weights: Checkpoint from elsewhere that its backbone starts from.
        start: Folder of the run whose last checkpoint its backbone starts from.
        same_as: Folder of another run that would be the same training: arms may have equal masks,
            such as a ticket that turns out to be a rule of thumb, and tasks may differ in nothing
            but how attention is done, which a network without any does not depend on. Only that
            one is trained, and this one is a copy of it.
    """

    task: str
    arm: Arm
    seed: int
    train_seed: int
    ticket: str
    cfg: Config
    folder: Path
    identity: dict[str, Any]
    weights: str | None
    start: Path | None
    same_as: Path | None

    @property
    def done(self) -> bool:
        """Whether it is trained and tested."""
        return (self.folder / RESULTS).exists()

    @property
    def trained_in(self) -> Path:
        """The folder that has its checkpoints once it is trained."""
        return self.same_as or self.folder

    @property
    def label(self) -> str:
        """What a line about the run begins with."""
        return f"{self.task}, {self.arm.title}, seed {self.seed}"


def run_folder(work_dir: Path, task: str, arm: Arm, seed: int) -> Path:
    """The folder of one run in a study's work dir."""
    return work_dir / task / arm.folder / f"seed{seed}"


def make_jobs(
    plan: StudyPlan, configs: Mapping[str, Config], networks: Networks, work_dir: Path
) -> list[Job]:
    """Make the runs of a study, in the order in which they are done."""
    jobs: dict[tuple[str, Arm, int], Job] = {}
    trained: dict[tuple[Any, ...], Path] = {}  # all that a training depends on -> its folder
    runs = list(planned_runs(plan))

    def order(run: tuple[str, Arm, int]) -> tuple[Any, ...]:  # a finished one is not trained again
        name, _, seed = run
        done = (run_folder(work_dir, *run) / RESULTS).exists()
        return plan.seeds.index(seed), list(plan.tasks).index(name), not done

    for name, arm, seed in sorted(runs, key=order):
        task, network = plan.tasks[name], networks[arm, seed]
        train_seed = plan.seeds[0] if task.once else seed
        start, start_digest = None, None
        if task.starts_from is not None:
            own = _run_seed(plan, task.starts_from, arm, seed)
            first = jobs[task.starts_from, arm, own]
            start, start_digest = first.trained_in, first.identity["config_digest"]
        cfg = copy.deepcopy(configs[name])
        cfg.merge_from_dict(dict.fromkeys(task.seed_keys, train_seed))
        digest = config_digest(
            cfg,
            seed=train_seed,
            attention=None if arm.attention is None else arm.attention.spec,
            weights=task.weights,
            start=start_digest,
        )
        ticket = network.backbone.ticket
        kind = (ticket.id, digest)
        if ticket.is_plain:
            kind = ("plain", config_digest(without_attention(cfg), seed=train_seed))
        set_arm(cfg, arm, network.ticket)
        if bar := cfg.get("default_hooks", {}).get("progress"):
            bar["description"] = f"{name}, {arm.title}, seed {train_seed}"
        weights = task.weights
        if weights is not None:
            weights = weights.replace("{arm}", arm.folder).replace("{seed}", str(seed))
        folder = run_folder(work_dir, name, arm, seed)
        identity = {"ticket_id": ticket.id, "seed": train_seed, "config_digest": digest}
        first_folder = trained.setdefault((*kind, train_seed, weights, start), folder)
        jobs[name, arm, seed] = Job(
            task=name,
            arm=arm,
            seed=seed,
            train_seed=train_seed,
            ticket=str(ticket),
            cfg=cfg,
            folder=folder,
            identity=identity,
            weights=weights,
            start=start,
            same_as=None if first_folder == folder else first_folder,
        )
    return [jobs[run] for run in runs]


def planned_runs(plan: StudyPlan) -> Iterator[tuple[str, Arm, int]]:
    """Yield task, arm and seed of each run of a study, in the order in which they are done."""
    # Seed by seed, so that a study which is stopped early has whole comparisons.
    for seed in plan.seeds:
        for task in plan.tasks:
            for arm in plan.compared:
                if seed == _run_seed(plan, task, arm, seed):
                    yield task, arm, seed


def _run_seed(plan: StudyPlan, task: str, arm: Arm, seed: int) -> int:
    """The seed of the run that stands for this one: a task trained once is so for each ticket."""
    once = plan.tasks[task].once and arm.kind != "random"
    return plan.seeds[0] if once else seed


def finish(job: Job, train_and_test: Callable[[Job], dict[str, Any]]) -> Run:
    """Do a run unless it is done, and write ``metrics.json``, by which it is known as done.

    Args:
        job: The run.
        train_and_test: What does it, such as :func:`train_and_test`.
    """
    if not job.done:
        with locked(job.folder, wait=True):  # a worker may train it for a study that was killed
            if not job.done:
                _do(job, train_and_test)
    measured = read_results(job.folder)
    return Run(
        seed=job.seed,
        ticket=job.ticket,
        metrics={name: float(value) for name, value in measured["metrics"].items()},
        train_seconds=measured.get("train_seconds"),
        peak_memory=measured.get("peak_memory"),
    )


def _do(job: Job, train_and_test: Callable[[Job], dict[str, Any]]) -> None:
    results = job.folder / RESULTS
    write_identity(job.folder, job.identity)
    if job.same_as is None:
        measured = train_and_test(job) | job.identity
        write_atomically(results, json_text(measured, checksum=True))
        return
    others = shutil.ignore_patterns(RESULTS, RUN, ".lock")
    shutil.copytree(job.same_as, job.folder, ignore=others, dirs_exist_ok=True)
    measured = read_results(job.same_as) | job.identity
    write_atomically(results, json_text(measured, checksum=True))


def finish_job(job: Job) -> None:
    """Do a run unless it is done."""
    finish(job, train_and_test)


def train_and_test(job: Job) -> dict[str, Any]:
    """Train or continue, test, and draw; return the metrics and what the training took."""
    import_custom_modules(job.cfg)
    weights = job.weights if job.start is None else last_checkpoint(job.start)
    runner = train(
        job.cfg, job.folder, weights=weights, resume=True, seed=job.train_seed, quiet=True
    )
    cost = training_cost(runner)
    metrics = numbers(runner.test())
    draw_samples(runner, job.folder / "samples")
    del runner
    gc.collect()  # data loaders and their images go with the runner
    return {
        "metrics": metrics,
        "train_seconds": cost.seconds,
        "peak_memory": cost.peak_memory,
    }


def numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Those of a test's metrics that are single numbers; some are lists with one per class."""
    kinds = (Real, np.ndarray, torch.Tensor)
    return {
        name: float(value)
        for name, value in metrics.items()
        if isinstance(value, kinds) and getattr(value, "ndim", 0) == 0
    }
