"""The held-out split: class-balanced, disjoint, together everything, and always the same."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS
from mmengine.runner import Runner

from ean_transfer.classification import HeldOutSplit, split_by_class
from ean_transfer.errors import ConfigError, DataError


class Labelled(BaseDataset):
    """A data set that is nothing but labels, one class after the other, as in a folder."""

    METAINFO = {"classes": ("cat", "dog", "owl")}

    def __init__(self, counts: tuple[int, ...] = (6, 7, 9), **kwargs: Any) -> None:
        self.counts = counts
        super().__init__(serialize_data=False, **kwargs)  # serialising collects garbage: 0.3 s

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"gt_label": c} for c, count in enumerate(self.counts) for _ in range(count)]


def parts(**options: Any) -> tuple[HeldOutSplit, HeldOutSplit]:
    options = {"per_class": 2} | options
    dataset = options.pop("dataset", {"type": Labelled})
    train, held_out = (
        HeldOutSplit(dataset=dataset, part=part, **options) for part in ("train", "held_out")
    )
    return train, held_out


@settings(max_examples=50)
@given(
    counts=st.lists(st.integers(3, 20), min_size=1, max_size=5),
    per_class=st.integers(1, 2),
    seed=st.integers(0, 2**32 - 1),
)
def test_parts_are_disjoint_balanced_and_together_everything(
    counts: list[int], per_class: int, seed: int
) -> None:
    labels = np.repeat(np.arange(len(counts)), counts)
    train = split_by_class(labels, "train", per_class, seed)
    held_out = split_by_class(labels, "held_out", per_class, seed)
    assert sorted([*train, *held_out]) == list(range(len(labels)))
    assert np.bincount(labels[held_out]).tolist() == [per_class] * len(counts)


def test_classes_take_turns() -> None:
    # A batch of one class would have BatchNorm statistics of its own.
    labels = np.repeat([0, 1, 2], 10)
    assert labels[split_by_class(labels, "held_out", 3, seed=0)].tolist() == [0, 1, 2] * 3


def test_limit_nests_and_leaves_the_held_out_part_alone() -> None:
    train, held_out = parts(lazy_init=True)  # reads the labels on first use
    small, held_out_of_small = parts(limit_per_class=2)
    larger, _ = parts(limit_per_class=3)
    assert len(small) == 6
    assert set(small.indices) < set(larger.indices) < set(train.indices)
    assert held_out.indices.tolist() == held_out_of_small.indices.tolist()


def test_split_follows_its_seed_and_no_other_generator() -> None:
    labels = np.repeat(np.arange(3), 50)
    draws = {tuple(split_by_class(labels, "held_out", 3, seed)) for seed in range(10)}
    assert len(draws) == 10
    np.random.seed(123)
    # In every process and release: the search's results refer to this draw.
    split = split_by_class(labels, "held_out", 3, 7)
    assert split.tolist() == [13, 72, 147, 15, 90, 125, 22, 56, 118]


def test_items_metainfo_and_pipeline_are_the_inner_data_sets() -> None:
    def double(info: dict[str, Any]) -> dict[str, Any]:
        return info | {"doubled": 2 * info["gt_label"]}

    _, held_out = parts(dataset={"type": Labelled, "pipeline": [double]})
    assert held_out.metainfo["classes"] == ("cat", "dog", "owl")
    assert [held_out[i]["doubled"] for i in range(len(held_out))] == [0, 2, 4, 0, 2, 4]
    assert held_out[0]["sample_idx"] == held_out.indices[0]
    assert held_out.get_data_info(1)["gt_label"] == 1
    assert held_out.get_cat_ids(2) == [2]


@pytest.mark.parametrize("num_workers", [0, 1])
def test_runner_loads_the_split_from_its_config(num_workers: int) -> None:
    inner = dict(type=Labelled)
    loader = Runner.build_dataloader(
        dict(
            batch_size=3,
            num_workers=num_workers,
            sampler=dict(type="DefaultSampler", shuffle=False),
            collate_fn=dict(type="default_collate"),
            dataset=dict(type="HeldOutSplit", part="held_out", per_class=2, dataset=inner),
        )
    )
    assert [batch["gt_label"].tolist() for batch in loader] == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("part", ["train", "held_out"])
@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"per_class": 6}, r"class 'cat' has 6 images.*hold out 6 and train on at least 1"),
        ({"per_class": 4, "limit_per_class": 3}, r"class 'cat' .* hold out 4 and train on 3"),
        ({"dataset": {"type": Labelled, "counts": (5, 5)}}, r"Labelled: class 'owl' has 0 images"),
    ],
    ids=str,
)
def test_too_few_images_name_the_class_and_its_count(
    part: str, options: dict[str, Any], message: str
) -> None:
    config = {"type": HeldOutSplit, "dataset": {"type": Labelled}, "part": part, "per_class": 2}
    with pytest.raises(DataError, match=message):
        DATASETS.build(config | options)


@pytest.mark.parametrize("label", [{}, {"gt_label": [0, 1]}])
def test_images_without_a_single_label_are_refused(label: dict[str, Any]) -> None:
    class Unlabelled(Labelled):
        def load_data_list(self) -> list[dict[str, Any]]:
            return [{"img_path": "a.jpg", **label}]

    with pytest.raises(DataError, match=r"of Unlabelled: image 0 has gt_label"):
        HeldOutSplit(dataset=Unlabelled(), part="train", per_class=1)


@pytest.mark.parametrize(
    ("name", "value"), [("per_class", 0), ("limit_per_class", 0), ("part", "val")]
)
def test_wrong_arguments_are_named(name: str, value: Any) -> None:
    config = {"type": HeldOutSplit, "dataset": {"type": Labelled}, "part": "train", "per_class": 2}
    with pytest.raises(ConfigError, match=f"HeldOutSplit: {name}: expected .*, found {value!r}"):
        DATASETS.build(config | {name: value})
