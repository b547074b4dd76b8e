"""A check that a model and its data set mean the same classes."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.masks import unwrapped


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Refuses, before the first image, a head with more or fewer classes than the data set has.

    With fewer the loss fails somewhere within, with more it trains in silence. Models without a
    head of classes, and data sets that name none, pass.

    Raises:
        ConfigError: If the two numbers differ.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        _check(runner, runner.train_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        _check(runner, runner.test_dataloader.dataset)


def _check(runner: Runner, dataset: Any) -> None:
    model = unwrapped(runner.model)
    for name in ("head", "decode_head"):
        found = getattr(getattr(model, name, None), "num_classes", None)
        known = (getattr(dataset, "metainfo", None) or {}).get("classes")
        if found is not None and known and found != len(known):
            raise ConfigError(
                f"{runner.cfg.filename}: model.{name} has num_classes={found}, but "
                f"{type(dataset).__name__} has {len(known)} classes ({known[0]} ... {known[-1]}): "
                f"set num_classes={len(known)}"
            )
