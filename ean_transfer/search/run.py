"""A whole search: train the supernets unless they are given, then search their connections."""

from __future__ import annotations

import copy
import logging
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from mmengine.dist import barrier
from mmengine.logging import print_log
from torch import nn

from ean_transfer.attachment.network import find_backbone
from ean_transfer.engine.checkpoints import find_checkpoint, last_checkpoint, seed_of
from ean_transfer.engine.runner import build_runner, work_dir_of
from ean_transfer.engine.training import start_from
from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.table import LATENCIES, CostTable, cost_table, load_cost_table
from ean_transfer.search.leak import loader_images, shared_images
from ean_transfer.search.loop import SearchLoop
from ean_transfer.search.resume import forget_search
from ean_transfer.search.settings import SearchSettings
from ean_transfer.supernet.evaluation import Elsewhere
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.ticket import Ticket


def run_search(
    cfg: Config,
    work_dir: str | os.PathLike[str] | None = None,
    *,
    supernet: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] | None = None,
    weights: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
    elsewhere: Elsewhere | None = None,
) -> Ticket:
    """Train the supernets into ``<work_dir>/supernet...`` unless they are given, and search.

    Args:
        cfg: A supernet's config plus ``search``, see
            :class:`~ean_transfer.search.settings.SearchSettings`.
        work_dir: That of the config, or ``work_dirs/<config folder>/<name>``, by default.
        supernet: Checkpoint of a trained supernet, or those of several.
        weights: Checkpoint whose backbone the supernets' training starts with.
        resume: Whether to continue the supernets' training and the search that the work dir holds,
            which are otherwise replaced.
        seed: Seed instead of that of the supernet's training that is continued, or the config's,
            which is 0 if it says none.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Whether to log to the work dir's files only.
        elsewhere: What scores masks in this process's place, such as
            :class:`~ean_transfer.search.workers.ScoringWorkers`; the ticket is the same.

    Returns:
        The ticket, also written to ``<work_dir>/ticket.json``.

    Raises:
        ConfigError, CheckpointError, TicketError: The config has no ``search``, or it or a
            checkpoint is not valid. Raised before anything is trained, and before an earlier search
            in the work dir is removed.
    """
    settings = _settings(cfg)
    work_dir = work_dir_of(cfg, work_dir)
    checkpoint = find_checkpoint(work_dir / "supernet")[0] if seed is None and resume else None
    if checkpoint is not None:
        seed = seed_of(checkpoint)
    if seed is None:
        seed = (cfg.get("randomness") or {}).get("seed") or 0
    options: dict[str, Any] = {"launcher": launcher, "quiet": quiet}
    training = copy.deepcopy(cfg)
    search = training.pop("search")
    if supernet is None:
        checkpoints = _train_supernets(
            training, settings, work_dir, weights, resume, seed, **options
        )
    elif weights is not None:
        raise ConfigError(
            f"{weights}: weights to start the supernets' training with, but trained supernets are "
            "given: leave out one of the two"
        )
    elif isinstance(supernet, (str, os.PathLike)):
        checkpoints = [str(supernet)]
    else:
        checkpoints = [str(file) for file in supernet]
    runner = build_runner(
        _searching(training, search, checkpoints, resume), work_dir, seed=seed, **options
    )
    if supernet is not None:
        _warn_of_test_images(cfg)
    loop: Any = runner.val_loop
    loop.mask_evaluator.elsewhere = elsewhere
    runner.val()
    return Ticket.load(work_dir / "ticket.json")


def _settings(cfg: Config) -> SearchSettings:
    """The checked ``search`` of a config."""
    search = cfg.get("search")
    try:
        if not cfg.get("val_dataloader"):
            raise ConfigError("expected val_dataloader: the held-out images to score masks on")
        if isinstance(search, dict):
            settings = SearchSettings.of(search)
            settings.build_scorer()
            return settings
        raise ConfigError(
            f"expected `search = dict(strategy=..., reward=..., steps=...)`, found {search}; "
            "'ean train' trains configs without a search"
        )
    except ConfigError as error:
        raise ConfigError(f"{cfg.filename or 'the config'}: {error}") from None


def _searching(
    cfg: Config, search: dict[str, Any], checkpoints: Sequence[str], resume: bool
) -> Config:
    """The config of a runner whose validation is the search.

    A search needs what mmengine's runner sets up: model, held-out data, log, launcher, visualizer.
    It trains nothing, so of the runner's three loops it takes the place of validation; the runner
    insists that the other loops' settings are then absent.
    """
    cfg = copy.deepcopy(cfg)
    for key in ("train_dataloader", "train_cfg", "optim_wrapper", "param_scheduler"):
        cfg[key] = None
    for key in ("test_dataloader", "test_cfg", "test_evaluator"):
        cfg[key] = None
    cfg.val_cfg = dict(type=SearchLoop.__name__, checkpoints=checkpoints, resume=resume, **search)
    cfg.val_evaluator = []
    cfg.load_from = None  # the loop loads the supernets, and the runner would load it over them
    cfg.sync_bn = None  # every process scores other masks, so statistics must not be shared
    return cfg


def _train_supernets(
    cfg: Config,
    settings: SearchSettings,
    work_dir: Path,
    weights: str | os.PathLike[str] | None,
    resume: bool,
    seed: int,
    **options: Any,
) -> list[str]:
    """Train supernets with consecutive seeds and return their last checkpoints."""
    checkpoints = []
    for index in range(settings.supernets):
        folder = work_dir / (f"supernet_{index}" if index else "supernet")
        # What is to be said of the second and third was said of the first.
        quiet = {"quiet": options.get("quiet", False) or index > 0}
        runner = build_runner(cfg, folder, resume=resume, seed=seed + index, **options | quiet)
        if weights is not None:
            start_from(runner, weights)
        if index == 0:
            _warn_of_silent_branches(cfg, weights, runner.model)
            _warn_of_test_images(cfg)
            _refuse_what_the_search_would(settings, runner.model)
            if not resume:
                # Now that nothing can be refused any more, and before the training: a search that
                # is killed while it trains and then resumed must not take up an earlier one.
                forget_search(work_dir, keep=settings.latency.file)
                for name in ("last_checkpoint", "*.pth"):
                    for file in work_dir.glob(f"supernet*/{name}"):
                        file.unlink(missing_ok=True)
        runner.train()
        barrier()
        checkpoints.append(last_checkpoint(folder))
    return checkpoints


def _warn_of_silent_branches(
    cfg: Config, weights: str | os.PathLike[str] | None, model: nn.Module
) -> None:
    """Warn of branches that start at zero, under which masks hardly differ after a short training.

    A pretrained network's are trained already.
    """
    backbone = find_backbone(model).network
    start = getattr(backbone, "init_cfg", None) or {}
    pretrained = weights or cfg.get("load_from") or "Pretrained" in str(start)
    if getattr(backbone, "zero_init_residual", False) and not pretrained:
        print_log(
            "model.backbone.zero_init_residual is True: branches start at zero, and masks hardly "
            "differ after a short training; set it to False",
            logger="current",
            level=logging.WARNING,
        )


def _warn_of_test_images(cfg: Config) -> None:
    """Warn where masks are scored on the config's own test images.

    A study refuses it, since it tests the ticket; whether this config is ever tested is not known.
    """
    tested = loader_images(cfg, "test_dataloader")
    loader = "val_dataloader"
    if tested and (shared := shared_images({loader: loader_images(cfg, loader)}, tested)):
        print_log(
            f"{shared}, which masks are scored on: a test would flatter the ticket; hold out a "
            "part of the training set for the search, e.g. by HeldOutEvery",
            logger="current",
            level=logging.WARNING,
        )


def _refuse_what_the_search_would(settings: SearchSettings, model: nn.Module) -> None:
    """Check what depends on the network here, since hours of training lie before the search.

    Raises:
        ConfigError: The model is no supernet, strategy or latency table do not fit it, or no mask
            keeps the budget.
    """
    backbone = find_backbone(model)
    require_supernet(backbone, "masks are scored on a supernet, but the")
    settings.build_strategy(backbone.ticket.backbone.blocks, seed=0)
    tables: dict[str, CostTable] = {}
    for cost in settings.reward.costs:
        if cost in LATENCIES and settings.latency.file is not None:
            tables[cost] = load_cost_table(cost, settings.latency.file, backbone.ticket)
        elif cost == "params":
            tables[cost] = cost_table(cost, backbone)
    if settings.reward.constraint is not None:  # what takes measuring is checked by the search
        settings.reward.constraint.require_possible(tables, backbone.ticket.num_blocks)
