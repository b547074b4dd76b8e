"""How long a training takes here, found out by a few of its iterations."""

from __future__ import annotations

import copy
import tempfile
from dataclasses import dataclass
from statistics import median
from typing import Any

from mmengine.config import Config
from mmengine.dataset import InfiniteSampler
from mmengine.hooks import Hook
from mmengine.runner import IterBasedTrainLoop, Runner

from ean_transfer.engine.pipelines import kind_of
from ean_transfer.engine.runner import build_runner

WARM_UP, TIMED = 2, 5  # iterations


@dataclass(frozen=True)
class Pace:
    """How fast a training is.

    Attributes:
        seconds: The median of the timed iterations, with the reading of their images.
        iterations: Number of iterations of the whole training.
    """

    seconds: float
    iterations: int

    @property
    def whole(self) -> float:
        """Seconds of the whole training, without validation."""
        return self.seconds * self.iterations


def time_iterations(cfg: Config) -> Pace:
    """Time a few iterations of a training.

    Args:
        cfg: The training's config, left as it is. It is neither validated nor saved.

    Raises:
        ConfigError, DataError: The training cannot start.
    """
    loop = cfg.train_cfg
    cfg = copy.deepcopy(cfg)
    number = WARM_UP + TIMED
    # A training in epochs as well: one of them may take an hour.
    cfg.train_cfg = dict(type=IterBasedTrainLoop, max_iters=number, val_begin=number + 1)
    cfg.param_scheduler = []
    if kind_of(cfg.train_dataloader.get("sampler")) == "DefaultSampler":
        # A loop of iterations sleeps for two seconds where an epoch of this sampler ends.
        cfg.train_dataloader.sampler = dict(type=InfiniteSampler)
    # Hooks that begin late would say that so short a training is wrong: fixing statistics is left
    # out, and averaging begins at once, since it takes its time in each iteration.
    hooks = cfg.get("custom_hooks") or []
    cfg.custom_hooks = [hook for hook in hooks if kind_of(hook) != "FreezeNormHook"]
    for hook in cfg.custom_hooks:
        if kind_of(hook) == "EMAHook":
            hook.update(begin_iter=0, begin_epoch=0)
    cfg.setdefault("default_hooks", {})
    cfg.default_hooks["checkpoint"] = None  # mmengine adds its own where there is none
    cfg.default_hooks["stop"] = None  # Ctrl-C ends it: nothing of it is kept, or resumed
    cfg.default_hooks["progress"] = dict(description="timing")
    timer = _Times()
    with tempfile.TemporaryDirectory() as folder:
        runner = build_runner(cfg, folder, quiet=True)
        runner.register_hook(timer, priority="VERY_LOW")
        runner.train()
    per_epoch = len(runner.train_dataloader)
    iterations = loop.get("max_iters") or loop["max_epochs"] * per_epoch
    return Pace(median(timer.seconds[WARM_UP:]), iterations)


class _Times(Hook):
    """Collects the seconds of each iteration, as mmengine's timer has measured them."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: Any = None, outputs: Any = None
    ) -> None:
        self.seconds.append(float(runner.message_hub.get_scalar("train/time").current()))
