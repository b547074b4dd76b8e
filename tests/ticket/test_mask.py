"""Masks, as text and drawn."""

from __future__ import annotations

import pytest

from ean_transfer.ticket.mask import all_masks, bits_of, mask_of, random_mask


def test_text_gives_the_mask_back_and_all_masks_count_up() -> None:
    masks = all_masks(4)
    assert [int(bits_of(mask), base=2) for mask in masks] == list(range(16))
    assert [mask_of(bits_of(mask)) for mask in masks] == masks


def test_masks_are_a_seeded_stream_with_the_asked_probability() -> None:
    masks = [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks == [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks != [random_mask(9, seed=2, index=i, probability=0.8) for i in range(400)]
    assert sum(map(sum, masks)) / 3600 == pytest.approx(0.8, abs=0.03)
    assert bits_of(random_mask(16, seed=4, index=7)) == "0111100110010101"  # in every release
