"""Random masks for a training loop of one's own."""

from __future__ import annotations

import pytest

from ean_transfer import attach
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import MaskSampler
from ean_transfer.ticket.mask import random_mask
from tests.attachment.networks import SE, small


def test_masks_are_those_of_the_seed_and_the_iteration() -> None:
    net = attach(small(), SE)
    with MaskSampler(net, 0.7, seed=3) as sampler:
        masks = [sampler.step() for _ in range(4)]
        assert find_backbone(net).mask == masks[-1]
        sampler.iteration = 1
        assert sampler.step() == masks[1]
    assert masks == [random_mask(5, 3, index, 0.7) for index in range(4)]
    assert find_backbone(net).mask == (True,) * 5


def test_a_network_without_every_connection_is_refused() -> None:
    with pytest.raises(ConfigError, match="a supernet needs every connection"):
        MaskSampler(
            attach(
                small(),
                SE,
                ticket=find_backbone(attach(small(), SE)).ticket.with_mask(
                    (True, False, True, True, True)
                ),
            )
        )
    with pytest.raises(ConfigError, match=r"probability.*1\.5"):
        MaskSampler(attach(small(), SE), 1.5)
