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

from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.runner import build_runner, default_work_dir, last_checkpoint
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import ConfigError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.search.loop import SearchLoop, forget_search
from ean_transfer.search.settings import check_settings
from ean_transfer.search.strategies.base import build_strategy
from ean_transfer.supernet.sampling import require_supernet, was_trained_with_masks
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
        resume: Go on with what the work dir holds, supernet and search, which are otherwise
            replaced.
        seed: Overrides the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Log to the work dir's files only.

    Returns:
        The ticket, also written to ``<work_dir>/ticket.json``.

    Raises:
        ConfigError, CheckpointError, TicketError: If the config has no ``search``, or it or a
            given checkpoint is not valid: before anything is trained, and before an earlier search
            in the work dir is removed.
    """
    if isinstance(supernet, (str, os.PathLike)):
        supernet = [supernet]
    given = [str(file) for file in supernet or ()]
    _check(cfg, given)
    work_dir = Path(work_dir or default_work_dir(cfg))
    training = copy.deepcopy(cfg)
    settings = training.pop("search")
    number = settings.pop("supernets", 1)
    checkpoints = given or _train_supernets(
        training,
        work_dir,
        number,
        keep=(settings.get("latency") or {}).get("file"),
        resume=resume,
        seed=seed,
        launcher=launcher,
        quiet=quiet,
    )

    searching = copy.deepcopy(training)
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        searching[key] = None
    for key in ("test_dataloader", "test_cfg", "test_evaluator"):
        searching[key] = None
    searching.val_cfg = dict(
        type="SearchLoop", resume=resume, supernets=checkpoints[1:], **settings
    )
    searching.val_evaluator = []
    searching.sync_bn = None  # every process scores masks of its own
    searching.load_from = checkpoints[0]
    runner = build_runner(searching, work_dir, seed=seed, launcher=launcher, quiet=quiet)
    for file in checkpoints:
        if not was_trained_with_masks(read_checkpoint(file)):
            runner.logger.warning(
                f"{file}: does not say that it was trained with masks, as supernets now do: if it "
                "is a network trained with every connection, scores of its masks mean little"
            )
    runner.val()
    return Ticket.load(work_dir / "ticket.json")


def _train_supernets(
    cfg: Config,
    work_dir: Path,
    number: int,
    *,
    keep: str | None,
    resume: bool,
    seed: int | None,
    **options: Any,
) -> list[str]:
    """Train so many supernets, of seeds one after the other; their last checkpoints."""
    first = cfg.get("randomness", {}).get("seed", 0) if seed is None else seed
    checkpoints = []
    for index in range(number):
        folder = work_dir / (f"supernet_{index}" if index else "supernet")
        runner = build_runner(cfg, folder, resume=resume, seed=first + index, **options)
        if index == 0 and not resume:
            # Not earlier: what is refused removes nothing. Not later: a search that is killed while
            # a supernet trains and then resumed must not find what an earlier one left.
            forget_search(work_dir, keep)
            for file in work_dir.glob("supernet*/last_checkpoint"):
                file.unlink(missing_ok=True)
        runner.train()
        barrier()
        checkpoints.append(last_checkpoint(folder))
    return checkpoints


def _check(cfg: Config, supernets: Sequence[str]) -> None:
    """Refuse what the search would refuse, before hours of training and before it removes a file.

    Args:
        cfg: The config.
        supernets: Checkpoints of supernets, if they are not to be trained.

    Raises:
        ConfigError, CheckpointError, TicketError: For the first that is not valid.
    """
    settings = cfg.get("search")
    _check_options(settings, cfg.filename)
    model = MODELS.build(cfg.model)
    backbone = find_backbone(model)
    require_supernet(backbone, "masks are scored on a supernet, but the")
    check_settings(settings, backbone.ticket)
    for file in supernets:
        load_model(model, file)
    build_strategy(settings["strategy"], backbone.ticket.backbone.blocks, seed=0)


def _check_options(settings: Any, source: str) -> None:
    """Refuse what is not a search's options by name."""
    if not isinstance(settings, dict):
        raise ConfigError(
            f"{source}: a search config has `search = dict(strategy=..., steps=...)`, "
            f"found {settings}; tools/train.py trains other configs"
        )
    known = set(inspect.signature(SearchLoop).parameters) - {
        "runner",
        "dataloader",
        "evaluator",
        "resume",
    }
    if unknown := set(settings) - known:
        raise ConfigError(
            f"{source}: search has no option {', '.join(sorted(unknown))}: its options are "
            f"{', '.join(sorted(known))}"
        )
    if missing := {"strategy", "reward"} - set(settings):
        raise ConfigError(f"{source}: search lacks {' and '.join(sorted(missing))}")
