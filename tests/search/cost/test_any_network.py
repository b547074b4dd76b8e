"""Costs are those of the network that a mask stands for, whoever made the network."""

from __future__ import annotations

from itertools import product

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ean_transfer import attach
from ean_transfer.attachment.network import find_backbone
from ean_transfer.search.cost.counting import attention_macs, plain_macs
from ean_transfer.search.cost.table import COSTS, cost_table
from tests.attachment.networks import DIA, SE, SMALL, small

X = torch.rand(2, 3, 32, 32)


def attached(family: str, attention=SE, **options) -> nn.Module:
    return attach(small(family), attention, **options)


@pytest.mark.parametrize(
    ("family", "sharing"), [("resnet", "block"), *((family, "stage") for family in SMALL)]
)
def test_params_are_those_that_a_mask_adds_to_the_network(family: str, sharing: str) -> None:
    plain = sum(p.numel() for p in small(family).parameters())
    supernet = find_backbone(attached(family, sharing=sharing))
    table = cost_table("params", supernet)
    for mask in product([False, True], repeat=supernet.ticket.num_blocks):
        model = attached(family, ticket=supernet.ticket.with_mask(mask))
        added = sum(p.numel() for p in model.parameters()) - plain
        assert table.of(mask) == added
        assert table.over_plain(mask) == pytest.approx(added / plain)


@pytest.mark.parametrize("family", SMALL)
def test_macs_are_of_one_image_and_relative_to_the_whole_network(family: str) -> None:
    model = small(family)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(X[:1])
    supernet = find_backbone(attach(model, SE))
    table = cost_table("macs", supernet, example=X)
    assert table.network == counter.get_total_flops() // 2
    assert table == cost_table("macs", supernet, tuple(X.shape))
    assert table == cost_table("macs", supernet, example=(X,))


def test_macs_of_se_are_its_formula() -> None:
    # Two convolutions before the first block leave 30 x 30 of 32 x 32, the second stage 15 x 15.
    stages = [(8, 30)] * 3 + [(16, 15)] * 2
    expected = [2 * c * side**2 + 2 * c * (c // 2) for c, side in stages]
    assert attention_macs(find_backbone(attached("resnet")), X[:1]) == expected


def test_a_layer_that_gets_a_part_of_a_parameter_is_counted() -> None:
    class Learned(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small()
            self.query = nn.Parameter(torch.rand(16))
            self.project = nn.Linear(16, 16)

        def forward(self, x):
            return self.body(x) + self.project(self.query[None])[:, :, None, None]

    expected = plain_macs(find_backbone(attached("resnet")), X[:1]) + 16 * 16
    assert plain_macs(find_backbone(attach(Learned(), SE)), X[:1]) == expected


def test_a_place_that_runs_twice_counts_twice() -> None:
    class Siamese(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = small("resnet")

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return self.body(images) - self.body(images.flip(-1))

    siamese, single = (find_backbone(attach(m, SE)) for m in (Siamese(), small("resnet")))
    assert attention_macs(siamese, X) == [2 * macs for macs in attention_macs(single, X)]
    assert cost_table("params", siamese).full == cost_table("params", single).full


@pytest.mark.parametrize("attention", [SE, DIA], ids=["SE", "DIA"])
@pytest.mark.parametrize("family", ["resnet", "convnext"])
def test_latencies_are_measured_per_place_and_the_model_is_left_as_it_was(
    family: str, attention
) -> None:
    model = attached(family, attention).train()
    network = find_backbone(model)
    mask = (True,) + (False,) * (network.ticket.num_blocks - 1)
    network.set_mask(mask)
    hooks = [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    for cost in set(COSTS) - {"latency_compiled"}:
        table = cost_table(cost, network, example=X, rounds=2)
    for method in ("within", "toggle"):
        table = cost_table("latency", network, example=X, rounds=2, method=method)
        assert table.plain > 0 and len(table.connections) == network.ticket.num_blocks
        assert table.measurement.input_shape == tuple(X.shape)
    assert network.mask == mask and model.training
    assert hooks == [(len(m._forward_hooks), len(m._forward_pre_hooks)) for m in model.modules()]
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
