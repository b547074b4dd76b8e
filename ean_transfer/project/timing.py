"""How long an iteration of a training takes, found out by a few of them."""

from __future__ import annotations

import copy
import tempfile
from typing import Any

from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner

from ean_transfer.engine.runner import build_runner

WARM_UP, TIMED = 2, 5  # iterations


def seconds_per_iteration(cfg: Config) -> float:
    """Time a few iterations of a training that is counted in iterations.

    Args:
        cfg: The training's config, left as it is. It is neither validated nor saved.

    Returns:
        The median of the timed iterations in seconds, with the reading of their images.

    Raises:
        ConfigError, DataError: The training cannot start.
    """
    cfg = copy.deepcopy(cfg)
    number = WARM_UP + TIMED
    cfg.train_cfg.update(max_iters=number, val_interval=number + 1)
    cfg.param_scheduler = []
    cfg.default_hooks["checkpoint"] = None  # mmengine adds its own where there is none
    cfg.default_hooks["progress"] = dict(description="timing")
    timer = _Times()
    with tempfile.TemporaryDirectory() as folder:
        runner = build_runner(cfg, folder, quiet=True)
        runner.register_hook(timer, priority="VERY_LOW")
        runner.train()
    return sorted(timer.seconds[WARM_UP:])[TIMED // 2]


class _Times(Hook):
    """Collects the seconds of each iteration, as mmengine's timer has measured them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.seconds.append(float(runner.message_hub.get_scalar("train/time").current()))
