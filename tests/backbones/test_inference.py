"""In inference an attention adds the shortcut itself, in its branch's memory."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from ean_transfer import build_backbone
from ean_transfer.attention import SE, Attention, build_attention
from ean_transfer.attention.base import adds_shortcut, recalibrate
from ean_transfer.backbones.blocks import TicketBasicBlock
from tests.backbones.test_matrix import ATTENTIONS, moved

LAYOUTS = (torch.contiguous_format, torch.channels_last)
CAN_START_AS_IDENTITY = sorted(set(ATTENTIONS) - {"SimAM"})


def spec_of(name: str) -> dict[str, Any]:
    return {"type": name, **ATTENTIONS[name]}


def maps(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", ATTENTIONS)
def test_the_sum_is_that_of_product_and_shortcut_and_lies_in_the_branch(name, layout) -> None:
    torch.manual_seed(0)
    attention = build_attention(spec_of(name), 8).eval()
    with torch.no_grad():
        for parameter in attention.parameters():
            parameter.normal_()
        x, shortcut = (t.contiguous(memory_format=layout) for t in maps(2, 3, 8, 5, 7))
        assert adds_shortcut(attention)
        expected, expected_state = attention(x.clone(), None)
        before = shortcut.clone()
        total, state = attention(x, None, shortcut)
        torch.testing.assert_close(total, expected + shortcut)
        torch.testing.assert_close(state, expected_state)
        assert total.data_ptr() == x.data_ptr() and total.is_contiguous(memory_format=layout)
        assert torch.equal(shortcut, before)


@pytest.mark.parametrize("name", CAN_START_AS_IDENTITY)
def test_a_gain_counts(name) -> None:
    torch.manual_seed(0)
    attention = build_attention(spec_of(name), 8).eval()
    attention.start_as_identity()
    x, plain = maps(2, 8, 9, 9), block()
    with torch.no_grad():
        torch.testing.assert_close(plain(x, attention)[0], plain(x)[0])


class Thrice(SE):
    """A module of a user's that replaces the forward."""

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return 3 * x, state


def block() -> TicketBasicBlock:
    torch.manual_seed(0)
    return TicketBasicBlock(8, 8).eval()


def triple(attention: nn.Module, inputs: Any, output: Any) -> Any:
    return 3 * inputs[0], output[1]


def with_hook(attention: Attention) -> Attention:
    attention.register_forward_hook(triple)
    return attention


@torch.no_grad()
@pytest.mark.parametrize("attention", [Thrice(8, 4), with_hook(SE(8, 4))], ids=["own", "hook"])
def test_a_forward_of_ones_own_and_hooks_see_what_they_expect(attention) -> None:
    x = maps(2, 8, 9, 9)
    plain = block()
    scaled = copy.deepcopy(plain)
    scaled.norm2.weight.mul_(3)
    scaled.norm2.bias.mul_(3)
    torch.testing.assert_close(plain(x, attention)[0], scaled(x)[0])


@torch.no_grad()
def test_under_autocast() -> None:
    net = moved(build_backbone("resnet14_cifar", spec_of("SE"), base_channels=8)).eval()
    (expected,) = net(maps(2, 3, 17, 17))
    with torch.autocast("cpu", torch.bfloat16):
        (found,) = net(maps(2, 3, 17, 17))
    torch.testing.assert_close(found.float(), expected, rtol=0.1, atol=0.1 * expected.abs().max())


@pytest.mark.parametrize("name", ["SE", "SGE", "CBAM", "CoordAtt", "SimAM"])
def test_transformed_by_torch_func(name: str) -> None:
    net = moved(build_backbone("resnet14_cifar", spec_of(name), base_channels=8)).eval()
    x = maps(2, 3, 3, 17, 17)
    with torch.no_grad():
        found = torch.vmap(lambda images: net(images)[0])(x)
        torch.testing.assert_close(found, torch.stack([net(images)[0] for images in x]))

    def total(images: Tensor) -> Tensor:
        return net(images)[0].square().sum()

    images = x[0].clone().requires_grad_()
    (expected,) = torch.autograd.grad(total(images), images)
    torch.testing.assert_close(torch.func.grad(total)(x[0]), expected)


@torch.no_grad()
def test_what_a_hook_on_attention_keeps_stays_as_it_is() -> None:
    net = build_backbone("resnet14_cifar", spec_of("SE"), base_channels=8).eval()
    seen: list[Tensor] = []
    copies: list[Tensor] = []

    def keep(_module: Any, _inputs: Any, output: Any) -> None:
        seen.append(output[0])
        copies.append(output[0].clone())

    net.layer1.attention.register_forward_hook(keep)
    net(maps(2, 3, 17, 17))
    assert len(seen) == 2 and all(map(torch.equal, seen, copies))


class CallsSuper(SE):
    def forward(self, x: Tensor, state: Any = None) -> Any:
        return super().forward(x, state)


def test_a_subclass_that_calls_the_forward_has_one_gain() -> None:
    attention = CallsSuper(8, reduction=2)
    attention.start_as_identity()
    x = maps(2, 8, 5, 5)
    torch.testing.assert_close(recalibrate(attention, x, None)[0], x)


@pytest.mark.parametrize("name", ["SE", "CBAM", "DIA"])
def test_a_network_is_traced_with_gradients_and_computes_the_same(name) -> None:
    torch.manual_seed(0)
    network = build_backbone("resnet8_cifar", spec_of(name)).eval()
    traced = torch.jit.trace(network, maps(2, 3, 16, 16))  # checks itself by a second one
    torch.testing.assert_close(traced(maps(1, 3, 24, 20)), network(maps(1, 3, 24, 20)))
