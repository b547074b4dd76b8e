"""The benchmark of folded networks: who is compared, and what is counted."""

from __future__ import annotations

import pytest

from benchmarks.folding import folding_increments
from ean_transfer.errors import ConfigError


def test_the_folded_network_has_the_plain_ones_parameters() -> None:
    found = folding_increments("resnet14_cifar", "SE", 16, 2, rounds=2)
    plain, another, attention, asr, folded = (one.parameters for one in found.values())
    assert plain == another == folded < attention < asr
    assert asr - attention == 16 + 32 + 64  # psi, one a stage
    assert found["plain"].time.median == 0.0
    assert all(one.time.seconds > 0 for one in found.values())


def test_an_attention_that_cannot_be_folded_is_refused() -> None:
    with pytest.raises(ConfigError, match="SGE cannot be re-parameterised"):
        folding_increments("resnet14_cifar", {"type": "SGE", "groups": 4}, 16, 2, rounds=2)
