"""Masks and drawing them."""

from __future__ import annotations

import pytest

from ean_transfer.ticket.mask import random_mask


def test_masks_are_a_seeded_stream_with_the_asked_probability() -> None:
    masks = [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks == [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks != [random_mask(9, seed=2, index=i, probability=0.8) for i in range(400)]
    assert sum(map(sum, masks)) / 3600 == pytest.approx(0.8, abs=0.03)
