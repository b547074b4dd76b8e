"""Masks on attached networks: the same network as the mask's ticket would make."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ean_transfer import TicketError, attach, detach
from ean_transfer.attachment.network import (
    MaskableNetwork,
    evaluating,
    find_backbone,
    find_ticket,
    masked,
    set_mask,
)
from ean_transfer.errors import ConfigError
from tests.attachment.networks import DIA, SE, SMALL, X, small, toy

ECA, SGE = {"type": "ECA"}, {"type": "SGE", "groups": 4}


def alternate(number: int, start: int = 0) -> list[bool]:
    return [(index + start) % 2 == 0 for index in range(number)]


def with_ticket_of(model: Any, mask: Any, attention: Any, sharing: str = "stage") -> nn.Module:
    """A network attached with a mask's ticket, and with the model's weights."""
    twin = copy.deepcopy(model)
    detach(twin)
    attach(twin, attention, sharing, model.ticket.with_mask(mask))
    weights = {k: v for k, v in model.state_dict().items() if not k.endswith("_extra_state")}
    missing, _ = twin.load_state_dict(weights, strict=False)
    assert all(key.endswith("_extra_state") for key in missing)
    return twin


# Every family with the attention that passes a state on, and every attention on one family.
CASES = [(family, DIA, "stage") for family in SMALL] + [
    ("resnet", attention, sharing)
    for attention in (SE, ECA, DIA, SGE)
    for sharing in ("stage", "block")
]


@pytest.mark.parametrize(("family", "attention", "sharing"), CASES)
def test_a_mask_is_the_network_of_its_ticket(family: str, attention: Any, sharing: str) -> None:
    model = attach(small(family), attention, sharing)
    network = find_backbone(model)
    number = model.ticket.num_blocks
    full = model(X)
    masks = [alternate(number), alternate(number, 1), [False] * number]
    for mask in masks:
        network.set_mask(mask)
        assert network.mask == tuple(mask)
        assert torch.equal(model(X), with_ticket_of(model, mask, attention, sharing)(X))
    network.set_mask(model.ticket)
    assert torch.equal(model(X), full)


@pytest.mark.parametrize("changed", [Tensor.half, Tensor.bfloat16, lambda t: (t.float() * 3) / 3])
def test_weights_that_were_halved_or_averaged_load(changed) -> None:
    weights = {name: changed(t) for name, t in attach(small(), SE).state_dict().items()}
    attach(small(), SE).load_state_dict(weights)
    with pytest.raises(TicketError, match="the weights are of a network with ticket id"):
        attach(small(), DIA).load_state_dict(weights, strict=False)


def test_blocks_without_an_active_connection_have_no_hook() -> None:
    model = attach(small(), SE)
    network = find_backbone(model)
    network.set_mask(toy("010 00"))
    hooked = [name for name, part in model.named_modules() if part._forward_hooks]
    assert hooked == ["layer1.1.bn2"]
    assert network.attentions == [model.attention["stage1"]] * 3 + [model.attention["stage2"]] * 2
    assert network.places == [*model.layer1, *model.layer2]


def test_evaluating_restores_each_modules_mode_by_its_own_train() -> None:
    class Merging(nn.Conv2d):
        merged = False

        def train(self, mode: bool = True) -> nn.Module:
            self.merged = not mode
            return super().train(mode)

    model = nn.Sequential(Merging(3, 3, 1), nn.BatchNorm2d(3)).train()
    model[1].eval()
    with evaluating(model):
        assert model[0].merged and not model[0].training
    assert not model[0].merged
    assert (model[0].training, model[1].training) == (True, False)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_a_copy_has_a_mask_of_its_own(copied: Any) -> None:
    model = attach(small(), DIA)
    full = model(X)
    find_backbone(model).set_mask([1, 0, 0, 0, 1])
    twin = copied(model)
    assert find_backbone(twin).network is twin
    assert torch.equal(twin(X), model(X))
    find_backbone(twin).set_mask([1] * 5)
    assert torch.equal(twin(X), full) and not torch.equal(model(X), full)


@pytest.mark.parametrize("ticket", ["none", "full"])
def test_it_is_found_within_a_larger_model_whatever_the_ticket(ticket: str) -> None:
    body = attach(small(), SE, ticket=ticket)
    network = find_backbone(nn.ModuleDict({"body": body, "head": nn.Conv2d(16, 3, 1)}))
    assert isinstance(network, MaskableNetwork) and network.network is body
    assert network.mask == body.ticket.mask == (ticket == "full",) * 5
    assert find_ticket(body) == body.ticket
    network.require_ticket(body.ticket, "weights.pth")
    with pytest.raises(TicketError, match=r"weights.pth was trained with ticket 101 00"):
        network.require_ticket(toy("101 00"), "weights.pth")


def test_weights_of_the_plain_network_start_attention_at_any_places() -> None:
    plain = attach(small(), SE, ticket="none", at="layer1.0", example=X).ticket
    other = find_backbone(attach(small(), SE, at="layer1.1", init="identity", example=X))
    other.require_ticket(plain, "weights.pth")
    spec = {"name": plain.backbone.name, "blocks": plain.backbone.blocks}
    other.require_ticket(plain.replace(backbone=spec), "weights.pth")  # before tickets named places
    with pytest.raises(TicketError, match=r"weights.pth was trained with ticket 1 "):
        other.require_ticket(plain.with_mask([1]), "weights.pth")


@pytest.mark.parametrize("mask", [[1, 0], "11111"])
def test_a_mask_that_does_not_fit_is_refused(mask: Any) -> None:
    with pytest.raises(TicketError, match="5 blocks: expected one truth value per block"):
        find_backbone(attach(small(), SE)).set_mask(mask)


def test_a_connection_that_was_not_built_is_refused_and_changes_nothing() -> None:
    network = find_backbone(attach(small(), SE, ticket=toy("101 00"), name="toy"))
    with pytest.raises(ConfigError, match=r'layer2.1 has no attention.*ticket="full"'):
        network.set_mask([0, 0, 1, 0, 1])
    assert network.mask == (True, False, True, False, False)


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [True, False])
def test_a_compiled_network_keeps_its_mask(in_place: bool) -> None:
    model = attach(small(), SE)
    network = find_backbone(model)
    network.set_mask([1, 0, 0, 1, 0])
    expected = model(X)
    if in_place:
        model.compile(backend="eager")
        compiled: Any = model
    else:
        compiled = torch.compile(model, backend="eager")
    assert torch.equal(compiled(X), expected)
    network.set_mask([1, 0, 0, 1, 0])  # changes nothing
    with pytest.raises(ConfigError, match=r"set_mask\(\).*deepcopy"):
        network.set_mask([1] * 5)
    twin = copy.deepcopy(model)
    find_backbone(twin).set_mask([1] * 5)
    assert not torch.allclose(twin(X), expected)


def test_a_mask_is_set_by_values_text_or_ticket_and_restored() -> None:
    net = attach(small(), SE)
    ticket = find_backbone(net).ticket.with_mask((True, False, True, False, True))
    for mask in ((1, 0, 1, 0, 1), "101 01", ticket):
        with masked(net, mask) as same:
            assert same is net and find_backbone(net).mask == ticket.mask
        assert find_backbone(net).mask == (True,) * 5
    set_mask(net, "000 01")
    with pytest.raises(RuntimeError, match="in between"), masked(net, ticket):
        raise RuntimeError("in between")
    assert find_backbone(net).mask == (False, False, False, False, True)
    for wrong, message in (
        ("101", "found 3 values"),
        ("2", "expected 0, 1 and spaces"),
        (list("00000"), "found the text"),
    ):
        with pytest.raises(TicketError, match=message):
            set_mask(net, wrong)


def test_the_ticket_decides_attention_options_and_sharing(tmp_path) -> None:
    full = attach(small(), {"type": "SE", "reduction": 4}, "block").ticket
    ticket = full.with_mask((True, False, True, False, True))
    net = attach(small(), ticket=ticket.save(tmp_path / "ticket.json"))
    assert net.ticket == attach(small(), {"type": "SE", "reduction": 4}, "block", ticket).ticket
    with pytest.raises(TicketError, match="sharing block, but the network has stage"):
        attach(small(), sharing="stage", ticket=ticket)
