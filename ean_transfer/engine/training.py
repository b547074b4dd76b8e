"""Training and evaluating any task's config: what tools/train.py and tools/test.py call."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ean_transfer.attachment.network import unwrapped
from ean_transfer.data.config import require_parts
from ean_transfer.engine.config import set_ticket_of
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import ConfigError


def train(
    cfg: Config,
    work_dir: str | os.PathLike[str] | None = None,
    *,
    weights: str | os.PathLike[str] | None = None,
    resume: bool = False,
    seed: int | None = None,
    launcher: str = "none",
    quiet: bool = False,
) -> Runner:
    """Train a config's model, optionally with a backbone that another task has trained.

    Args:
        cfg: The config; left as it is.
        work_dir: Folder for everything that is written; ``work_dirs/<config folder>/<name>`` by
            default.
        weights: Checkpoint whose backbone is loaded. Not read when resuming.
        resume: Whether to continue from the work dir's last checkpoint.
        seed: Seed of the run; by default that of the training that is continued, or the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Whether to log to the work dir's file only.

    Returns:
        The runner, its model trained.

    Raises:
        TicketError: The weights were trained with another ticket.
        CheckpointError: The weights cannot be read or do not fit.
        ConfigError: The config does not fit, or has weights of its own to start with; or the
            training that is continued has another seed.
    """
    runner = build_runner(cfg, work_dir, resume=resume, seed=seed, launcher=launcher, quiet=quiet)
    if weights is not None:
        start_from(runner, weights)
    runner.train()
    return runner


def start_from(runner: Runner, weights: str | os.PathLike[str]) -> None:
    """Load the backbone that a runner's training starts with; nothing if the training resumes.

    Args:
        runner: Runner that has not trained yet.
        weights: Checkpoint whose backbone is loaded.

    Raises:
        TicketError: The weights were trained with another ticket.
        CheckpointError: The weights cannot be read or do not fit.
        ConfigError: The config has weights of its own to start with.
    """
    if not runner.cfg.resume:
        if own := runner.cfg.get("load_from"):
            raise ConfigError(
                f"{weights}: weights to start with, but the config has load_from={own!r}, which "
                "would be loaded over them: leave out one of the two"
            )
        # Initialised now: runner.train() would do it later and replace what is loaded. mmengine's
        # models are initialised once, so its own call changes nothing then.
        model = unwrapped(runner.model)
        model.init_weights()
        report = load_backbone(model, weights)
        runner.logger.info(f"{weights}: {report}")


def evaluate(
    cfg: Config,
    checkpoint: str | os.PathLike[str],
    work_dir: str | os.PathLike[str] | None = None,
    *,
    use_its_ticket: bool = True,
    launcher: str = "none",
    hooks: Sequence[Hook] = (),
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        cfg: The config; left as it is.
        checkpoint: Checkpoint of the whole model.
        work_dir: Folder for the log; ``work_dirs/<config folder>/<name>`` by default.
        use_its_ticket: Whether to build the backbone with the ticket that the checkpoint carries.
            Otherwise the config's is used, and must be the same.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        hooks: Hooks of this test beside the config's.

    Returns:
        Metric name -> value.

    Raises:
        TicketError: The checkpoint was trained with another ticket than the network has.
        CheckpointError: The checkpoint cannot be read.
        ConfigError: The config has no test.
    """
    require_parts(cfg, "test_dataloader", "test_cfg", "test_evaluator")
    cfg = copy.deepcopy(cfg)
    if use_its_ticket:
        set_ticket_of(cfg, checkpoint)
    cfg.load_from = str(checkpoint)
    runner = build_runner(cfg, work_dir, launcher=launcher, trains=False)
    for hook in hooks:
        runner.register_hook(hook)
    return runner.test()
