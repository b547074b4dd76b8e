"""Every n-th image held out: disjoint, together everything, and each part with its pipeline."""

from __future__ import annotations

from typing import Any

import pytest
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ean_transfer.data.held_out import HeldOutEvery
from ean_transfer.errors import ConfigError


class Frames(BaseDataset):
    """A data set that is nothing but numbers."""

    METAINFO = {"classes": ("sky", "road")}

    def __init__(self, length: int, **kwargs: Any) -> None:
        self.length = length
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        return [{"frame": number} for number in range(self.length)]


def part(name: str, length: int = 367, every: int = 6, **dataset: Any) -> HeldOutEvery:
    config = {"type": HeldOutEvery, "part": name, "every": every}
    built: HeldOutEvery = DATASETS.build(
        config | {"dataset": {"type": Frames, "length": length} | dataset}
    )
    return built


def test_a_sixth_of_camvid_is_held_out() -> None:
    held_out, rest = part("held_out"), part("train")
    assert (len(held_out), len(rest)) == (62, 305)
    assert held_out.indices.tolist() == list(range(0, 367, 6))
    assert sorted([*held_out.indices, *rest.indices]) == list(range(367))


def test_items_and_metainfo_are_the_inner_data_sets() -> None:
    held_out = part("held_out", 10, 4, pipeline=[lambda info: info | {"seen": True}])
    assert [(item["frame"], item["seen"]) for item in held_out] == [(0, True), (4, True), (8, True)]
    assert held_out.get_data_info(1)["sample_idx"] == 4
    assert held_out.metainfo["classes"] == ("sky", "road")


@pytest.mark.parametrize(("name", "value"), [("every", 1), ("every", 2.5), ("part", "val")])
def test_wrong_arguments_are_named(name: str, value: Any) -> None:
    config = {"type": HeldOutEvery, "dataset": {"type": Frames, "length": 9}, "part": "train"}
    with pytest.raises(ConfigError, match=f"HeldOutEvery: {name}: expected .*, found {value!r}"):
        DATASETS.build(config | {"every": 3} | {name: value})
