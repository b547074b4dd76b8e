"""Channels that an attention's reduction does not divide, on networks of other libraries."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from ean_transfer import attach, detach
from ean_transfer.backbones import AttachedBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from tests.attachment.networks import small

SE3 = {"type": "SE", "reduction": 3}  # the network's stages have 8 and 16 channels


def test_hidden_channels_are_rounded_and_the_ticket_says_so() -> None:
    net: Any = attach(small(), SE3)
    assert net.ticket.attention_options == {"reduction": 3, "hidden_divisor": 8}
    assert net.attention["stage1"].fc1.out_features == 8
    own: Any = attach(small(), dict(SE3, hidden_divisor=2))
    assert own.ticket.attention_options["hidden_divisor"] == 2
    assert own.attention["stage2"].fc1.out_features == 6


@pytest.mark.parametrize("attention", [{"type": "SE", "reduction": 4}, "CoordAtt", "ECA"])
def test_tickets_of_what_fits_stay_as_they_were(attention: Any) -> None:
    assert "hidden_divisor" not in attach(small(), attention).ticket.attention_options


@pytest.mark.parametrize("attention", [None, SE3, dict(SE3, hidden_divisor=8)])
def test_the_ticket_alone_builds_the_same_network(attention: Any, tmp_path: Path) -> None:
    net: Any = attach(small(), SE3, "block")
    ticket = net.ticket.with_mask((0, 1, 0, 0, 1))
    ticket.save(tmp_path / "ticket.json")
    weights = attach(detach(net), ticket=ticket).state_dict()
    other: Any = attach(small(), attention, ticket=tmp_path / "ticket.json")
    assert other.ticket.id == ticket.id
    other.load_state_dict(weights)


def test_a_ticket_without_it_is_not_changed() -> None:
    # Connected only where the reduction divides, such a ticket was always possible.
    net: Any = small()
    full = attach(net, {"type": "SE", "reduction": 16}).ticket
    options = {"attention_options": {"reduction": 16}}
    old: Ticket = full.replace(stages=("000", "11"), **options)
    attach(detach(net), ticket=old)
    assert net.ticket.id == old.id and net.attention["stage2"].fc1.out_features == 1
    with pytest.raises(ConfigError, match="reduction=16 does not divide the 8 .*hidden_divisor=8"):
        attach(detach(net), ticket=full.replace(**options))


def test_a_backbone_of_a_config_rounds_as_well() -> None:
    spec = dict(model="torchvision:mobilenet_v3_small", attention="SE")
    backbone = AttachedBackbone(**spec)
    assert backbone.ticket.attention_options == {"reduction": 16, "hidden_divisor": 8}
    again = AttachedBackbone(**spec, ticket=backbone.ticket)
    assert again.ticket.id == backbone.ticket.id
    assert backbone(torch.zeros(1, 3, 64, 64))[0].shape[1] == backbone.out_channels[0]


def test_what_cannot_be_rounded_is_refused_as_before() -> None:
    with pytest.raises(ConfigError, match="SGE: groups=64 does not divide the 8 channels"):
        attach(small(), "SGE")
    with pytest.raises(ConfigError, match="kernel_size: expected an odd number"):
        attach(small(), {"type": "CBAM", "kernel_size": 4})


def test_new_attention_is_drawn_as_without_the_trial() -> None:
    drawn = []
    for attention in (SE3, dict(SE3, hidden_divisor=8)):  # the second needs no trial
        torch.manual_seed(0)
        drawn.append([*attach(small(), attention).state_dict().values(), torch.rand(1)])
    torch.manual_seed(0)
    small()
    assert torch.equal(drawn[0][-1], torch.rand(1))
    assert all(torch.equal(one, other) for one, other in zip(*drawn, strict=True))
