"""A check that a model and its data set mean the same classes."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from mmseg.models import DepthEstimator
from torch import nn

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next import quiet
from ean_transfer.attachment.network import unwrapped
from ean_transfer.errors import ConfigError


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
    known = (getattr(dataset, "metainfo", None) or {}).get("classes")
    model = unwrapped(runner.model)
    if not known or isinstance(model, DepthEstimator):  # its head gives depths
        return
    for name in ("head", "decode_head", "auxiliary_head"):
        heads = getattr(model, name, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            found = getattr(head, "num_classes", None)
            if found is not None and found != len(known):
                raise ConfigError(
                    f"{runner.cfg.filename}: model.{name} has num_classes={found}, but "
                    f"{type(dataset).__name__} has {len(known)} classes ({known[0]} ... "
                    f"{known[-1]}): set num_classes={len(known)}"
                )
