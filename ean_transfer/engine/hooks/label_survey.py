"""The look at a training set's labels before the first iteration."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner


@HOOKS.register_module()
class LabelSurveyHook(Hook):
    """Lets the training's data sets judge what their labels hold, all parts together.

    A data set takes part by a method ``survey()``, whose result can be added to those of other
    parts and has ``judge()``, which logs what is odd and raises what cannot be meant.
    """

    priority = "VERY_HIGH"

    def before_train(self, runner: Runner) -> None:
        parts = _parts(runner.train_dataloader.dataset)
        surveys = [part.survey() for part in parts if hasattr(part, "survey")]
        if surveys:
            sum(surveys[1:], surveys[0]).judge()


def _parts(dataset: Any) -> Iterator[Any]:
    """The data sets within others that wrap them, such as ``ConcatDataset``."""
    inner = getattr(dataset, "dataset", None)
    # One within another first: SeededDataset has its inner one's `datasets` as well.
    parts = getattr(dataset, "datasets", ()) if inner is None else (inner,)
    if not parts:
        yield dataset
    for part in parts:
        yield from _parts(part)
