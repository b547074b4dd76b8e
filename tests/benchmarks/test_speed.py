"""What is timed and compared, on sizes that take no time."""

from __future__ import annotations

import pytest
import torch

from benchmarks.speed import (
    classifier_of,
    crowds,
    density_seconds,
    folding_times,
    scoring_time,
)
from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import all_masks


def test_masks_scored_together_and_alone_count_the_same() -> None:
    model = classifier_of(TicketResNetCIFAR(8, dict(type="SE", reduction=4)), 64)
    images = torch.randn(20, 3, 16, 16, generator=torch.Generator().manual_seed(0))
    case = scoring_time("toy", model, images, all_masks(3), rounds=2)
    assert case.equal and min(case.together, case.alone, case.ratio) > 0


def test_every_crowd_lies_in_the_image_and_is_timed_at_every_stride_and_sigma() -> None:
    for points in crowds((40, 60), 500).values():
        assert points.shape == (500, 2)
        assert (points >= 0).all() and (points <= (60, 40)).all()
    seconds = density_seconds(image_size=(40, 60), count=9, repeats=1)
    assert len(seconds) == 2 * 2 * 3
    assert seconds["even crowd, stride 8, sigma adaptive"] > 0


def test_the_folded_network_has_the_plain_ones_parameters() -> None:
    times = folding_times("resnet14_cifar", "SE", 16, 2, rounds=2)
    plain, another, attention, asr, folded = (one.parameters for one in times.values())
    assert plain == another == folded < attention < asr
    assert asr - attention == 16 + 32 + 64  # psi, one per stage
    assert times["plain"].time.over_plain == 0.0
    assert all(one.time.ms > 0 for one in times.values())


def test_an_attention_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ConfigError, match="SGE"):
        folding_times("resnet14_cifar", {"type": "SGE", "groups": 4}, 16, 2, rounds=2)
