"""Regret over passes, by the number of masks that a pass scores."""

from __future__ import annotations

import pytest

from benchmarks import masks_per_pass
from benchmarks.masks_per_pass import PASSES, regrets
from ean_transfer.search.strategies.planned import ExhaustiveStrategy
from ean_transfer.ticket.mask import all_masks, bits_of

REWARDS = {bits_of(mask): float(place) for place, mask in enumerate(all_masks(6))}


@pytest.mark.parametrize("masks", [1, 3, 50])
def test_a_pass_scores_so_many_masks(masks: int) -> None:
    order = ExhaustiveStrategy((3, 3), seed=0).ask(len(REWARDS))
    expected = [
        63.0 - max(REWARDS[bits_of(mask)] for mask in order[: masks * number]) for number in PASSES
    ]
    assert regrets(ExhaustiveStrategy((3, 3), seed=0), REWARDS, masks) == expected


def test_more_masks_of_a_pass_take_fewer_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(masks_per_pass, "MASKS", (1, 16))
    monkeypatch.setattr(masks_per_pass, "STRATEGY_NAMES", ("surrogate",))
    one, many = masks_per_pass.measure(seeds=1)["surrogate"].values()
    assert all(few <= single for few, single in zip(many, one, strict=True))
    assert many[1] < one[1] and many[-1] == one[-1] == 0.0
