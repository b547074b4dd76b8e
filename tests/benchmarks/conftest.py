"""Made-up scores and ground truths."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from benchmarks.ground_truth import GroundTruth
from benchmarks.tables import ScoreTable
from ean_transfer.ticket.mask import all_masks, bits_of


@pytest.fixture
def table() -> ScoreTable:
    """512 masks whose accuracy is 70 + one point per connection of the first stage."""
    correct = (70.0 + np.array(all_masks(9))[:, :3].sum(axis=1)) * 20
    about = {
        "blocks": [3, 3, 3],
        "backbone": "resnet20_cifar",
        "attention": "SE",
        "attention_options": {},
        "sharing": "stage",
        "images": {"held_out": 2000, "test": 2000},
    }
    parts = [("batch", "held_out"), ("batch", "test")]
    return ScoreTable(
        about,
        {part: correct.astype(np.int32) for part in parts},
        {part: (2.0 - correct / 2000).astype(np.float32) for part in parts},
    )


@pytest.fixture
def truth_of() -> Callable[[np.ndarray], GroundTruth]:
    """Makes a ground truth of the toy network from accuracies (masks, seeds)."""
    network = {
        "config": "toy.py",
        "depth": 14,
        "base_channels": 8,
        "attention": {"type": "SE", "reduction": 4},
        "sharing": "stage",
    }

    def make(values: np.ndarray) -> GroundTruth:
        rows = zip(map(bits_of, all_masks(6)), values.tolist(), strict=True)
        return GroundTruth(
            network=network, accuracy={bits: dict(enumerate(row)) for bits, row in rows}
        )

    return make
