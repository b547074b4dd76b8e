"""The order in which held-out images are read."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.dataset import InfiniteSampler
from torch.utils.data import DataLoader, IterableDataset, SubsetRandomSampler, TensorDataset

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.held_out import HeldOut

CLASS_BY_CLASS = TensorDataset(torch.arange(40), torch.arange(4).repeat_interleave(10))


def read(source: Any, number: int | None = None) -> list[list[list[int]]]:
    return [
        [part.tolist() for part in batch] for batch in HeldOut(source, lambda batch: batch, number)
    ]


def test_images_that_come_class_by_class_are_mixed() -> None:
    batches = read(DataLoader(CLASS_BY_CLASS, 8))
    assert sorted(place for places, _ in batches for place in places) == [*range(40)]
    assert all(len(set(classes)) > 2 for _, classes in batches)
    assert read(DataLoader(CLASS_BY_CLASS, 8, shuffle=True)) == batches
    endless = InfiniteSampler(CLASS_BY_CLASS, seed=0)
    assert read(DataLoader(CLASS_BY_CLASS, 8, sampler=endless)) == batches
    assert read(DataLoader(CLASS_BY_CLASS, 8), number=9) == batches[:2]


@pytest.mark.parametrize("kind", [SubsetRandomSampler, list, torch.tensor])
def test_a_sampler_of_some_images_keeps_its_choice(kind) -> None:
    some = HeldOut(DataLoader(CLASS_BY_CLASS, 8, sampler=kind([*range(5, 35)])), list)
    first, again = ([batch[0].tolist() for batch in some] for _ in range(2))
    assert sorted(place for batch in first for place in batch) == [*range(5, 35)]
    assert first == again != sorted(first)
    assert (some.images, some.uses_all) == (30, True)


def test_workers_are_started_as_the_loaders_own() -> None:
    loader = DataLoader(CLASS_BY_CLASS, 8, num_workers=1, multiprocessing_context="spawn")
    batches: Any = HeldOut(loader, list)._batches
    assert batches.multiprocessing_context is loader.multiprocessing_context
    assert read(DataLoader(CLASS_BY_CLASS, 8, num_workers=1)) == read(DataLoader(CLASS_BY_CLASS, 8))


def test_a_drawn_order_and_mere_batches_stay_as_they_are() -> None:
    class Drawn(TensorDataset):
        in_drawn_order = True

    class Streamed(IterableDataset):
        def __iter__(self):
            return iter(CLASS_BY_CLASS)

    drawn = [*DataLoader(CLASS_BY_CLASS, 8)]
    in_order = [[part.tolist() for part in batch] for batch in drawn]
    assert read(DataLoader(Drawn(*CLASS_BY_CLASS.tensors), 8)) == in_order
    assert read(drawn) == read(DataLoader(Streamed(), 8)) == in_order
    fixed = [[3, 1], [2, 0]]
    batches = read(DataLoader(CLASS_BY_CLASS, batch_sampler=fixed))
    assert [places for places, _ in batches] == fixed


def test_a_number_of_images_of_mere_batches_is_refused() -> None:
    for source in ([*DataLoader(CLASS_BY_CLASS, 8)], DataLoader(CLASS_BY_CLASS, batch_sampler=[])):
        with pytest.raises(ConfigError, match="images=9: expected a DataLoader with a batch size"):
            read(source, number=9)


def test_no_images_are_refused() -> None:
    nothing = TensorDataset(torch.zeros(0))
    for source in ([], iter(()), DataLoader(nothing, 8)):
        with pytest.raises(ConfigError, match="expected held-out images"):
            read(source)
