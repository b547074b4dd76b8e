"""Draws of a training's images: by their place alone, and without a trace in the generators."""

from __future__ import annotations

import random

import numpy as np
import torch
from torch.utils.data import DataLoader, SequentialSampler

from ean_transfer.engine.draws import NumberedSampler, SeededDataset


class _Draws:
    """Each image is one draw of each generator."""

    def __len__(self) -> int:
        return 6

    def __getitem__(self, index: int) -> list[float]:
        return [random.random(), np.random.rand(), torch.rand(1).item()]


def _drawn(dataset: SeededDataset, **options) -> list[list[float]]:
    sampler = NumberedSampler(SequentialSampler(dataset), dataset, seed=0)
    loader = DataLoader(dataset, sampler=sampler, collate_fn=list, **options)
    return [image for batch in loader for image in batch]


def test_an_images_draws_do_not_depend_on_its_batch() -> None:
    dataset = SeededDataset(_Draws(), seed=0)
    images = _drawn(dataset, batch_size=1)
    assert len({draw for image in images for draw in image}) == 18
    assert images == _drawn(dataset, batch_size=4) == _drawn(dataset, batch_size=4, num_workers=2)
    assert images != _drawn(SeededDataset(_Draws(), seed=1), batch_size=4)


def test_a_batch_leaves_the_generators_as_they_were() -> None:
    dataset = SeededDataset(_Draws(), seed=0)
    states = random.getstate(), np.random.get_state()[1].tolist(), torch.get_rng_state().tolist()
    first, second, *_ = NumberedSampler(SequentialSampler(dataset), dataset, seed=0)
    assert dataset[first] != dataset[second]
    assert dataset.__getitems__([first, second]) == [dataset[first], dataset[second]]
    assert states == (
        random.getstate(),
        np.random.get_state()[1].tolist(),
        torch.get_rng_state().tolist(),
    )
    assert dataset[0] != dataset[0]  # outside of a training the generators go on
