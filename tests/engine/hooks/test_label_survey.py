"""Which data sets are asked what their labels hold."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from mmengine.dataset import BaseDataset, ConcatDataset

from ean_transfer.engine.draws import SeededDataset
from ean_transfer.engine.hooks import LabelSurveyHook


class Survey(list[str]):
    """Names of the parts that were asked."""

    judged: list[str]

    def __add__(self, other: Any) -> Survey:
        return Survey([*self, *other])

    def judge(self) -> None:
        Survey.judged = [*self]


class Part(BaseDataset):
    def load_data_list(self) -> list[dict[str, Any]]:
        return [{}]

    def survey(self) -> Survey:
        return Survey([self.ann_file])


def test_each_part_is_asked_once() -> None:
    parts = ConcatDataset([Part("first"), Part("second")])
    loader = SimpleNamespace(dataset=SeededDataset(parts, seed=0))
    LabelSurveyHook().before_train(SimpleNamespace(train_dataloader=loader))
    assert Survey.judged == ["first", "second"]
