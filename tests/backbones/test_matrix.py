"""Every attention on every kind of backbone, by every kind of ticket and both sharings."""

from __future__ import annotations

import copy
import io
import itertools
from typing import Any

import pytest
import torch

from ean_transfer import Ticket, build_backbone
from ean_transfer.backbones import TicketBackbone
from tests.helpers import quick_pairs

# Two blocks per stage, so that sharing shows (one where only the bottleneck is new), and eight
# channels to stay quick.
BACKBONES: dict[str, dict[str, Any]] = {
    "resnet14_cifar": {},
    "resnet18": {"deep_stem": True, "avg_down": True, "stem_channels": 8},  # ResNet-D
    "preresnet14_cifar": {},
    "preresnet11_cifar": {},  # bottlenecks
    "wrn16_2_cifar": {"base_channels": 4},
    "resnext20_2x4d_cifar": {"base_channels": 2},
}
# Hidden layers as wide as the branch: of few hidden units all may be dead, without a gradient.
ATTENTIONS: dict[str, dict[str, Any]] = {
    "SE": {"reduction": 1},
    "SGE": {"groups": 4},
    "DIA": {"reduction": 1},
    "CBAM": {"reduction": 1},
    "ECA": {},
    "SPA": {"reduction": 1},
    "IE": {},
    "SRM": {},
    "SimAM": {},
    "CoordAtt": {},
    "SEM": {"reduction": 1},
    "LSAS": {"reduction": 1},
}


def build(backbone: str, attention: str, ticket: str, sharing: str) -> TicketBackbone:
    torch.manual_seed(0)
    options = {"base_channels": 8, "zero_init_residual": False} | BACKBONES[backbone]
    spec = {"type": attention, **ATTENTIONS[attention]}
    found: Any = ticket
    if ticket == "random":
        fields = {"attention_options": ATTENTIONS[attention], "sharing": sharing}
        found = Ticket.random(backbone, attention, sparsity=0.6, seed=1, **fields)
    return build_backbone(backbone, spec, sharing, found, **options)


def images(count: int, side: int = 33) -> torch.Tensor:
    return torch.randn(count, 3, side, side, generator=torch.Generator().manual_seed(1))


def moved(net: TicketBackbone) -> TicketBackbone:
    """All parameters away from their initial values, of which a fresh network has the same."""
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return net


def connected_modules(net: TicketBackbone) -> set[str]:
    """Prefixes of the attention modules that the ticket asks for."""
    expected = set()
    for name, bits in zip(net.res_layers, net.ticket.stages, strict=True):
        places = [index for index, bit in enumerate(bits) if bit == "1"]
        if places and net.ticket.sharing == "stage":
            expected.add(f"{name}.attention.")
        elif places:
            expected.update(f"{name}.{index}.attention." for index in places)
    return expected


KINDS = list(itertools.product(("full", "random"), ("stage", "block")))
# The plain network is the same whatever attention was meant.
PLAIN = [(backbone, "SE", "none", "stage") for backbone in BACKBONES]


@pytest.mark.parametrize(
    ("backbone", "attention", "ticket", "sharing"),
    [*quick_pairs(BACKBONES, ATTENTIONS, KINDS), *PLAIN],
)
def test_trains_saves_copies_and_repeats(
    backbone: str, attention: str, ticket: str, sharing: str
) -> None:
    net = moved(build(backbone, attention, ticket, sharing)).train()
    net(images(2))[0].square().mean().backward()
    holders = connected_modules(net)
    found = set()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None and parameter.grad.isfinite().all(), name
        if "attention" in name.split("."):
            (holder,) = (prefix for prefix in holders if name.startswith(prefix))
            found.add(holder)
            # h is 0 at a stage's first connected block, and what it is multiplied by unused.
            unused = name.endswith("hidden_gates.0.weight")
            assert unused or parameter.grad.any(), name
    assert found == (set() if attention == "SimAM" else holders)  # it has no parameters

    net.eval()
    (expected,) = net(images(2))
    with torch.no_grad():  # blocks add their shortcuts in place
        (both,) = net(images(2))
        torch.testing.assert_close(both, expected, rtol=1e-3, atol=1e-4)
        assert torch.equal(net(images(2))[0], both)
        alone = net(images(2)[:1])[0]
        torch.testing.assert_close(alone, both[:1], rtol=1e-3, atol=1e-4)

        file = io.BytesIO()
        torch.save(net.state_dict(), file)
        file.seek(0)
        again = build(backbone, attention, ticket, sharing).eval()
        again.load_state_dict(torch.load(file, weights_only=True))
        assert torch.equal(again(images(2))[0], both)

        copied = copy.deepcopy(net)
        for parameter in net.parameters():
            parameter.zero_()
        assert torch.equal(copied(images(2))[0], both)

        (half,) = copied.to(torch.bfloat16)(images(1).to(torch.bfloat16))
        assert half.dtype == torch.bfloat16 and half.isfinite().all()


@pytest.mark.parametrize("attention", ATTENTIONS)
def test_takes_odd_sizes(attention: str) -> None:
    for backbone in BACKBONES:
        net = build(backbone, attention, "full", "stage").train()
        for side in (33, 37):
            assert net(images(2, side))[0].isfinite().all(), (backbone, side)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backbone", "attention"),
    [(name, "SE") for name in BACKBONES] + [("resnet14_cifar", name) for name in ATTENTIONS],
)
def test_is_exported_with_any_batch_and_size(backbone: str, attention: str) -> None:
    net = build(backbone, attention, "random", "stage").eval()
    batch, side = torch.export.Dim("batch", max=64), torch.export.Dim.AUTO
    program = torch.export.export(
        net, (images(2, 40),), dynamic_shapes=({0: batch, 2: side, 3: side},)
    )
    with torch.no_grad():
        for count, size in ((1, 33), (3, 56)):
            x = images(count, size)
            torch.testing.assert_close(program.module()(x)[0], net(x)[0], rtol=1e-4, atol=1e-5)
