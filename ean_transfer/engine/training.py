"""Training and testing of any task's config."""

from __future__ import annotations

import os

from mmengine.config import Config
from mmengine.runner import Runner

from ean_transfer.attachment.network import unwrapped
from ean_transfer.engine.config import use_ticket_of
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.weights import load_backbone


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
    """Train a config's model, its backbone starting from another task's weights if given.

    Args:
        cfg: The config.
        work_dir: ``work_dirs/<config folder>/<name>`` by default.
        weights: A checkpoint whose backbone is loaded. Not read when resuming.
        resume: Go on from the work dir's last checkpoint.
        seed: Overrides the config's.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.
        quiet: Log to the work dir's file only.

    Returns:
        The runner, its model trained.

    Raises:
        TicketError: If the weights were trained with another ticket.
        CheckpointError: If the weights cannot be read or do not fit.
    """
    runner = build_runner(cfg, work_dir, resume=resume, seed=seed, launcher=launcher, quiet=quiet)
    if weights is not None and not runner.cfg.resume:
        # Initialised now and not by train(), which would overwrite what is loaded.
        model = unwrapped(runner.model)
        model.init_weights()
        model._is_init = True
        report = load_backbone(model, weights)
        runner.logger.info(f"{weights}: {report}")
    runner.train()
    return runner


def evaluate(
    cfg: Config,
    checkpoint: str | os.PathLike[str],
    work_dir: str | os.PathLike[str] | None = None,
    *,
    use_its_ticket: bool = True,
    launcher: str = "none",
) -> dict[str, float]:
    """Evaluate a checkpoint on the config's test set.

    Args:
        cfg: The config.
        checkpoint: The checkpoint of the whole model.
        work_dir: ``work_dirs/<config folder>/<name>`` by default.
        use_its_ticket: Build the backbone with the ticket that the checkpoint carries; otherwise
            with the config's, which must then be the same.
        launcher: ``none``, ``pytorch``, ``slurm`` or ``mpi``.

    Returns:
        Metric name -> value.

    Raises:
        TicketError: If the checkpoint was trained with another ticket than the network has.
        CheckpointError: If it cannot be read.
    """
    if use_its_ticket:
        use_ticket_of(cfg, checkpoint)
    cfg.load_from = str(checkpoint)
    return build_runner(cfg, work_dir, launcher=launcher).test()
