"""Learning rates of new attention and of the network it is connected to."""

from __future__ import annotations

import pytest
import torch

from ean_transfer import attach, build_backbone
from ean_transfer.attachment.parameters import count_attention_parameters, parameter_groups
from ean_transfer.errors import ConfigError
from tests.attachment.networks import SE, small


def test_attention_learns_ten_times_as_fast_and_every_parameter_is_in_one_group() -> None:
    net = attach(small(), SE, "block")
    network, attention = parameter_groups(net, lr=1e-3)
    assert (network["lr"], attention["lr"]) == (1e-3, 1e-2)
    assert set(attention["params"]) == set(net.attention.parameters())
    assert set(network["params"]) | set(attention["params"]) == set(net.parameters())
    assert len(network["params"]) + len(attention["params"]) == len(list(net.parameters()))
    assert parameter_groups(net, 1e-3, 2e-3)[1]["lr"] == 2e-3
    torch.optim.AdamW([network, attention])


def test_what_is_folded_later_counts_with_its_input() -> None:
    folded = build_backbone("resnet14_cifar", SE, base_channels=8, asr=True)
    plain = build_backbone("resnet14_cifar", SE, base_channels=8)
    psi = sum(p.numel() for name, p in folded.named_parameters() if "psi" in name)
    assert psi > 0
    assert count_attention_parameters(folded) == count_attention_parameters(plain) + psi


def test_frozen_parameters_are_left_out_and_a_plain_network_is_refused() -> None:
    net = attach(small(), SE)
    net.conv1.requires_grad_(False)
    assert net.conv1.weight not in set(parameter_groups(net, 1e-3)[0]["params"])
    with pytest.raises(ConfigError, match=r"Plain.*attach\(\) before the optimiser"):
        parameter_groups(small(), 1e-3)
