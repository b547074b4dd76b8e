"""The check that a model's head and its data set have the same number of classes.

mmpretrain's ``ClassNumCheckHook`` asserts, and expects an attribute that mmseg's data sets lack.
"""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ean_transfer.attachment.network import unwrapped
from ean_transfer.data.config import innermost
from ean_transfer.errors import ConfigError
from ean_transfer.registry import inherits


@HOOKS.register_module()
class ClassCountHook(Hook):
    """Refuses, before the first image, a head with more or fewer classes than the data set has.

    Too few classes fail inside the loss; too many train without any error. Models without a head of
    classes, and data sets that name none, pass.

    Raises:
        ConfigError: The two numbers differ.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        _check(runner, runner.train_dataloader.dataset)

    def before_test(self, runner: Runner) -> None:
        _check(runner, runner.test_dataloader.dataset)


def _check(runner: Runner, dataset: Any) -> None:
    classes = (getattr(dataset, "metainfo", None) or {}).get("classes")
    model = unwrapped(runner.model)
    if not classes or inherits(type(model), "DepthEstimator"):  # mmseg's, which gives depths
        return
    for name in ("head", "decode_head", "auxiliary_head"):
        heads = getattr(model, name, None)
        for head in heads if isinstance(heads, nn.ModuleList) else [heads]:
            number = getattr(head, "num_classes", None)
            if number not in (None, len(classes)):
                data = type(innermost(dataset)).__name__
                raise ConfigError(
                    f"{runner.cfg.filename}: model.{name} has num_classes={number}, but "
                    f"{data} has {len(classes)} classes ({classes[0]} ... "
                    f"{classes[-1]}): set num_classes={len(classes)}"
                )
