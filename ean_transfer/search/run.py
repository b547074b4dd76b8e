"""A whole search: train the supernet unless given, then search its connections."""

from __future__ import annotations

import copy
import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.registry import MODELS

from ean_transfer.checkpoint import read_checkpoint
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.launch import backbone_configs, build_runner, default_work_dir, last_checkpoint
from ean_transfer.search.gates import GatesStrategy
from ean_transfer.search.loop import SearchLoop, forget_search
from ean_transfer.search.reward import check_reward
from ean_transfer.search.strategy import build_strategy
from ean_transfer.ticket import Ticket


def run_search(
    cfg: Config,
    work_dir: str | os.PathLike[str] | None = None,
    *,
    supernet: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    resume: bool = False,
    seed: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
) -> Ticket:
    """Train the supernets into ``<work_dir>/supernet...`` unless given, and search.

    Args:
        cfg: A supernet's config plus ``search``, the arguments of
            :class:`~ean_transfer.search.SearchLoop`, and ``supernets``, how many to train (1).
        work_dir: ``work_dirs/<config folder>/<name>`` by default.
        supernet: A trained supernet's checkpoint, or those of several.
        resume: Go on with what the work dir holds, supernet and search.
        seed: Overrides the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Log to the work dir's files only.

    Returns:
        The ticket, also written to ``<work_dir>/ticket.json``.

    Raises:
        ConfigError: If the config has no ``search``, or it is not valid: before anything is
            trained.
    """
    if "search" not in cfg:
        raise ConfigError(
            f"{cfg.filename}: a search config has `search = dict(strategy=..., steps=...)`, "
            "found none; tools/train.py trains other configs"
        )
    _check(cfg)
    work_dir = Path(work_dir or default_work_dir(cfg))
    if not resume:
        keep = cfg.search.get("latency", {}).get("file")
        forget_search(
            work_dir, keep
        )  # now: a kill while the supernet trains must not leave it behind
    training = copy.deepcopy(cfg)
    settings = training.pop("search")

    number = settings.pop("supernets", 1)
    if supernet is None:
        first = training.get("randomness", {}).get("seed", 0) if seed is None else seed
        checkpoints = []
        for index in range(number):
            folder = work_dir / (f"supernet_{index}" if index else "supernet")
            runner = build_runner(
                training,
                folder,
                resume=resume,
                seed=first + index,
                launcher=launcher,
                quiet=quiet,
            )
            runner.train()
            barrier()
            checkpoints.append(last_checkpoint(folder))
    else:
        given = [supernet] if isinstance(supernet, (str, os.PathLike)) else supernet
        checkpoints = [str(file) for file in given]

    strategy = settings["strategy"]
    if _is_gates(strategy["type"]) and "probabilities" not in strategy:
        strategy["probabilities"] = learned_probabilities(checkpoints[0])

    searching = copy.deepcopy(training)
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        searching[key] = None
    for key in ("test_dataloader", "test_cfg", "test_evaluator"):
        searching[key] = None
    searching.val_cfg = dict(type=SearchLoop, resume=resume, supernets=checkpoints[1:], **settings)
    searching.val_evaluator = []
    searching.sync_bn = None  # every process scores masks of its own
    searching.load_from = checkpoints[0]
    runner = build_runner(searching, work_dir, seed=seed, launcher=launcher, quiet=quiet)
    runner.val()
    return Ticket.load(work_dir / "ticket.json")


def _check(cfg: Config) -> None:
    """Refuse what the search would refuse, before hours of training its supernets."""
    settings = cfg.search
    known = set(inspect.signature(SearchLoop).parameters) - {
        "runner",
        "dataloader",
        "evaluator",
        "resume",
    }
    if unknown := set(settings) - known:
        raise ConfigError(
            f"{cfg.filename}: search has no option {', '.join(sorted(unknown))}: its options are "
            f"{', '.join(sorted(known))}"
        )
    if missing := {"strategy", "reward"} - set(settings):
        raise ConfigError(f"{cfg.filename}: search lacks {' and '.join(sorted(missing))}")
    number = settings.get("supernets", 1)
    if not isinstance(number, int) or number < 1:
        raise ConfigError(f"search.supernets is how many to train, at least 1, found {number!r}")
    check_reward(settings.reward)
    if not _is_gates(settings.strategy.get("type")):  # it needs what is yet to be learned
        backbone = MODELS.build(next(backbone_configs(cfg.model)))
        build_strategy(settings.strategy, backbone.ticket.backbone.blocks, seed=0)


def _is_gates(kind: Any) -> bool:
    return kind is GatesStrategy or kind == GatesStrategy.__name__


def learned_probabilities(supernet: str | os.PathLike[str]) -> list[float]:
    """What :class:`~ean_transfer.supernet.GateHook` left in a supernet's checkpoint.

    Raises:
        CheckpointError: If there are none.
    """
    gates = read_checkpoint(supernet).get("gates")
    if gates is None:
        raise CheckpointError(
            f"{supernet}: no learned gates, the supernet was trained with random masks: train it "
            "with GateHook instead of RandomMaskHook"
        )
    return [float(p) for p in gates["probabilities"]]
