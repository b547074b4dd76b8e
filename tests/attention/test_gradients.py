"""Gradients written by hand are those of the formulas, in pieces of any number of images."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from benchmarks.literal import FORMULAS, Literal, Ours
from ean_transfer.analysis.memory import bytes_saved_for_backward
from ean_transfer.attention import Attention, build_attention, passes

BY_HAND = ["CBAM", "CoordAtt", "SGE", "SimAM"]
LAYOUTS = [torch.contiguous_format, torch.channels_last]


def gradients(module: torch.nn.Module, x: Tensor, direction: Tensor) -> list[Tensor]:
    """Of the input and all parameters, and the output."""
    x = x.detach().requires_grad_()
    y = module(x)
    return [*torch.autograd.grad(y, [x, *module.parameters()], direction), y]


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("images", [1, 2, 3])
@pytest.mark.parametrize("name", FORMULAS)
def test_they_are_those_of_the_formula(
    trained: Attention, images: int, layout: torch.memory_format, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passes, "VALUES_AT_ONCE", images * 16 * 5 * 7)
    trained = trained.double().train()
    x, direction = torch.randn(2, 3, 16, 5, 7, dtype=torch.float64)
    x, direction = x.contiguous(memory_format=layout), direction.contiguous(memory_format=layout)
    ours = gradients(Ours(trained), x, direction)
    for a, b in zip(ours, gradients(Literal(trained), x, direction), strict=True):
        torch.testing.assert_close(a, b)
    assert ours[0].is_contiguous(memory_format=layout)


@pytest.mark.parametrize("layout", LAYOUTS, ids=["contiguous", "channels-last"])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_block_may_add_its_shortcut_to_the_output_in_place(
    trained: Attention, layout: torch.memory_format
) -> None:
    x = torch.randn(2, 16, 5, 7).contiguous(memory_format=layout)
    expected, *_ = gradients(Ours(trained), x, 2 * torch.ones_like(x))
    x.requires_grad_()
    y, _ = trained(x)
    y.add_(x.detach()).mul_(2).sum().backward()
    torch.testing.assert_close(x.grad, expected)


@pytest.mark.parametrize("name", BY_HAND)
def test_inputs_of_another_layout_and_without_a_gradient(trained: Attention) -> None:
    x = (
        torch.randn(2, 5, 7, 16).double().permute(0, 3, 2, 1)
    )  # neither contiguous nor channels-last
    direction = torch.ones((), dtype=torch.float64).expand(x.shape)
    trained = trained.double()
    expected = gradients(Literal(trained), x, direction)
    for a, b in zip(gradients(Ours(trained), x, direction), expected, strict=True):
        torch.testing.assert_close(a, b)
    if parameters := list(trained.parameters()):
        of_parameters = torch.autograd.grad(trained(x)[0], parameters, direction)
        for a, b in zip(of_parameters, expected[1:-1], strict=True):
            torch.testing.assert_close(a, b)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_under_autocast_they_have_the_inputs_type(trained: Attention, dtype: torch.dtype) -> None:
    x = torch.randn(2, 16, 5, 7)
    expected = gradients(Literal(trained), x, torch.ones_like(x))[0]
    x = x.to(dtype).requires_grad_()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        y, _ = trained(x)
    y.backward(torch.ones_like(y))
    assert x.grad.dtype == dtype
    torch.testing.assert_close(x.grad.float(), expected, rtol=0.2, atol=0.2)


@pytest.mark.parametrize("name", BY_HAND)
def test_equal_maxima_and_constant_maps_as_in_the_formula(trained: Attention) -> None:
    trained = trained.double().eval()
    x = torch.randint(-2, 3, (2, 16, 3, 3)).double()
    direction = torch.randn_like(x)
    expected = gradients(Literal(trained), x, direction)
    for a, b in zip(gradients(Ours(trained), x, direction), expected, strict=True):
        torch.testing.assert_close(a, b)


@pytest.mark.parametrize(
    ("name", "maps"), [("SimAM", 1), ("SGE", 1.25), ("CoordAtt", 1), ("CBAM", 2)]
)
def test_the_number_of_maps_that_are_kept(name: str, maps: float) -> None:
    attention = build_attention(name, 256).to("meta")
    scale = torch.nn.Parameter(torch.ones((), device="meta"))
    x = torch.randn(2, 256, 28, 28, device="meta")
    kept = bytes_saved_for_backward(lambda x: attention(x * scale)[0], x) / x.nbytes
    assert 1 + maps <= kept < 1 + maps + 0.25  # x itself is kept for the gradient of the scale


@pytest.mark.parametrize(("height", "scale", "slope"), [(128, 2, 0.01), (8, 30, 1.0)])
def test_sges_gradient_in_half_precision_on_large_maps_and_of_large_values(
    height: int, scale: int, slope: float
) -> None:
    sge = build_attention({"type": "SGE", "groups": 1}, 8)
    torch.nn.init.constant_(sge.weight, 0.5)  # of 0 nothing goes through the normalisation
    x = scale * torch.randn(1, 8, height, 2 * height).half() + 1
    direction = slope * x.sign()
    expected, actual = (
        gradients(Ours(sge.to(dtype)), x.to(dtype), direction.to(dtype))[0].double()
        for dtype in (torch.float64, torch.float16)
    )
    assert (actual - expected).norm() < 0.01 * expected.norm()
