"""The check that a model's head and its data set have the same number of classes.

mmpretrain's ``ClassNumCheckHook`` asserts, and expects an attribute that mmseg's data sets lack.
"""

from __future__ import annotations

from collections.abc import Sequence
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

    Too few classes fail inside the loss; too many train without any error. Refused as well are data
    to validate or test on in which a class has another number than in training: a folder that lacks
    a class shifts those after it. Models without a head of classes, and data sets that name none,
    pass.

    Raises:
        ConfigError: The two numbers differ, or a class has two.
    """

    priority = "VERY_HIGH"

    def __init__(self) -> None:
        self._trained: Sequence[str] = ()

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        meta = checkpoint.get("meta", {}).get("dataset_meta")
        self._trained = (meta or {}).get("classes") or ()

    def before_train(self, runner: Runner) -> None:
        self._trained = _classes(runner.train_dataloader.dataset)
        _check(runner, runner.train_dataloader.dataset)
        if runner.val_loop is not None:
            self._compare(runner, runner.val_dataloader.dataset, "validation")

    def before_test(self, runner: Runner) -> None:
        self._compare(runner, runner.test_dataloader.dataset, "test")
        _check(runner, runner.test_dataloader.dataset)

    def _compare(self, runner: Runner, dataset: Any, part: str) -> None:
        numbers = {name: label for label, name in enumerate(self._trained)}
        for label, name in enumerate(_classes(dataset)):
            if numbers.get(name, label) != label:
                raise ConfigError(
                    f"{runner.cfg.filename}: expected the class {name!r} to have the number "
                    f"{numbers[name]} as in training, found {label} in the {part}'s data: name "
                    f"all classes in that order, {' '.join(self._trained[:3])} ..., by --classes"
                )


def _classes(dataset: Any) -> Sequence[str]:
    return (getattr(dataset, "metainfo", None) or {}).get("classes") or ()


def _check(runner: Runner, dataset: Any) -> None:
    classes = _classes(dataset)
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
