"""What holds for every module, whatever the size, batch or type of its input."""

from __future__ import annotations

import copy
from collections import Counter

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ean_transfer.attention import CBAM, SRM, Attention, ChannelAttention, CoordAtt, build_attention
from ean_transfer.attention.numerics import mean, mean_and_variance, spatial_std
from ean_transfer.registry import ATTENTION
from tests.attention.conftest import OPTIONS

OF_CHANNELS = ["DIA", "ECA", "IE", "LSAS", "SE", "SEM", "SPA", "SRM"]
OTHERS = ["CBAM", "CoordAtt", "SGE", "SimAM"]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("constant", [False, True], ids=["random", "constant"])
@pytest.mark.parametrize("size", [(1, 1), (5, 7), (33, 33)], ids=str)
def test_shape_is_kept_and_values_and_gradients_are_finite(
    trained: Attention, size: tuple[int, int], constant: bool, training: bool
) -> None:
    trained.train(training)
    x = torch.randn(2, 16, 1, 1).expand(2, 16, *size) if constant else torch.randn(2, 16, *size)
    x = x.clone().requires_grad_()
    y, _ = trained(x)
    y.square().sum().backward()
    assert y.shape == x.shape
    for tensor in (y, x.grad, *(p.grad for p in trained.parameters())):
        assert torch.isfinite(tensor).all()


def test_one_size_does_not_bind_the_next(trained: Attention) -> None:
    trained.eval()
    small, large = torch.randn(2, 16, 3, 5), torch.randn(2, 16, 12, 9)
    before = trained(large)[0]
    trained(small)
    assert torch.equal(trained(large)[0], before)


def test_images_are_independent_in_evaluation_mode(trained: Attention) -> None:
    trained.eval()
    x = torch.randn(3, 16, 5, 7)
    for i in range(3):
        torch.testing.assert_close(trained(x[i : i + 1])[0], trained(x)[0][i : i + 1])


def test_all_modules_are_tested() -> None:
    ours = [cls for cls in ATTENTION.module_dict.values() if cls.__module__.startswith("ean_")]
    assert {cls.__name__ for cls in ours} == set(OPTIONS)


@pytest.mark.parametrize(("kind", "size"), [(SRM, 8), (CBAM, 1)])
def test_batchnorm_of_one_value_is_refused_in_training_only(kind: type, size: int) -> None:
    module, x = kind(16), torch.randn(1, 16, size, size)
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        module(x)
    module.bn.eval()  # as where the norms of a network are frozen
    assert torch.isfinite(module(x)[0]).all()


@pytest.mark.parametrize(("kind", "size"), [(CBAM, 2), (CoordAtt, 1)])
def test_batchnorm_over_space_trains_on_one_image(kind: type, size: int) -> None:
    y, _ = kind(16)(torch.randn(1, 16, size, size))
    y.sum().backward()
    assert torch.isfinite(y).all()


def test_bfloat16_in_and_out(trained: Attention) -> None:
    trained.eval()
    x = torch.randn(2, 16, 9, 7)
    expected = trained(x)[0]
    y, _ = trained.bfloat16()(x.bfloat16())
    assert y.dtype == torch.bfloat16
    torch.testing.assert_close(y.float(), expected, rtol=0.1, atol=0.1)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_keeps_the_branchs_type(trained: Attention, dtype: torch.dtype) -> None:
    x = torch.randn(2, 16, 5, 7, dtype=dtype)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert trained(x)[0].dtype == dtype


def test_copies_and_restored_states_give_the_same(trained: Attention, build) -> None:
    trained.eval()
    x = torch.randn(2, 16, 5, 7)
    restored = build().eval()
    restored.load_state_dict(trained.state_dict())
    for other in (copy.deepcopy(trained).eval(), restored):
        assert torch.equal(other(x)[0], trained(x)[0])


@pytest.mark.parametrize("name", [*OF_CHANNELS[1:], *OTHERS])
def test_state_of_stateless_modules_passes_through(trained: Attention) -> None:
    state = object()
    assert trained(torch.randn(2, 16, 3, 3), state)[1] is state


@pytest.mark.parametrize("name", OF_CHANNELS)
def test_weights_of_a_map_constant_in_space_do_not_depend_on_its_size(
    trained: ChannelAttention,
) -> None:
    trained.eval()
    pixel = torch.randn(2, 16, 1, 1)
    pooled = trained.pool(pixel.expand(2, 16, 6, 5))
    torch.testing.assert_close(pooled, trained.pool(pixel))
    weights, _ = trained.weights(pooled)
    assert weights.shape == (2, 16) and ((weights > 0) & (weights < 1)).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 2), (4, 7)])
def test_variance_is_unbiased_and_0_for_one_value(size: tuple[int, int]) -> None:
    x = torch.randn(3, 2, *size, dtype=torch.float64, requires_grad=True)
    average, variance = mean_and_variance(x)
    centred = x - average
    expected = torch.zeros(3, 2, 1, 1).double() if size == (1, 1) else x.var((2, 3), keepdim=True)
    torch.testing.assert_close(average, x.mean((2, 3), keepdim=True))
    torch.testing.assert_close(variance, expected)
    std = spatial_std(centred)
    torch.testing.assert_close(std, expected.sqrt())
    std.sum().backward()
    assert torch.isfinite(x.grad).all()


def test_gradients_are_those_of_the_values(trained: Attention) -> None:
    trained = trained.double().eval()
    x = torch.randn(1, 16, 2, 3, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: trained(x)[0], x, fast_mode=True)
    assert torch.autograd.gradgradcheck(lambda x: trained(x)[0], x, fast_mode=True)


@pytest.mark.parametrize("layout", ["channels-last", "strided"])
def test_gradients_that_can_be_differentiated_again_are_the_same(
    trained: Attention, layout: str
) -> None:
    trained.eval()
    x = torch.randn(2, 16, 4, 6).to(memory_format=torch.channels_last).requires_grad_()
    direction = torch.randn(2, 16, 4, 3 if layout == "strided" else 6)

    def gradients(again: bool) -> tuple[Tensor, ...]:
        y, _ = trained(x[..., ::2] if layout == "strided" else x)
        wanted = [x, *trained.parameters()]
        return torch.autograd.grad((y * direction).sum(), wanted, create_graph=again)

    torch.testing.assert_close(gradients(again=True), gradients(again=False))


@pytest.mark.parametrize("kind", ["SRM", "SimAM"])
@torch.no_grad()
def test_the_variance_of_float16_does_not_overflow(kind: str) -> None:
    module = build_attention(kind, 8).eval()
    x = 3.0 * torch.randn(1, 8, 128, 128, generator=torch.Generator().manual_seed(0))
    expected, _ = module(x)
    found, _ = module.half()(x.half())
    torch.testing.assert_close(found.float(), expected, rtol=0.02, atol=0.02)


def test_the_mean_of_float16_does_not_overflow() -> None:
    x = torch.full((1, 1, 40, 40), 60.0, dtype=torch.float16)
    assert mean(x, 2, 3).item() == 60.0


@pytest.mark.parametrize("size", [1, 5])
@pytest.mark.parametrize("scale", [0.0, 3.0])
def test_a_constant_map_in_float16_stays_finite(
    trained: Attention, size: int, scale: float
) -> None:
    trained = trained.half()
    for parameter in trained.parameters():
        parameter.data.fill_(2.0)
    x = torch.full((2, 16, size, size), scale, dtype=torch.float16, requires_grad=True)
    y, _ = trained(x)
    y.sum().backward()
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_the_means_gradient_is_no_map(dtype: torch.dtype) -> None:
    x = torch.randn(2, 16, 5, 7, dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(mean(x, 2, 3).sum(), x)
    assert gradient.stride()[2:] == (0, 0)  # one value for all positions of a channel
    torch.testing.assert_close(gradient, torch.full_like(x, 1 / 35))


class Maps(TorchDispatchMode):
    """Counts the results of a map's size that are written out: by dtype, and not channels-last."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.numel, self.found = x.numel(), Counter[str]()

    def __torch_dispatch__(self, call, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        results = call(*args, **(kwargs or {}))
        for result in results if isinstance(results, (tuple, list)) else [results]:
            is_map = isinstance(result, Tensor) and result.numel() == self.numel
            if is_map and 0 not in result.stride():
                self.found[str(result.dtype)] += 1
                last = result.dim() != 4 or result.is_contiguous(memory_format=torch.channels_last)
                self.found.update([] if last else ["not channels-last"])
        return results


def test_mixed_precision_writes_no_map_in_float32_or_another_layout(trained: Attention) -> None:
    x = torch.randn(2, 16, 5, 7, dtype=torch.bfloat16)
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    with Maps(x) as maps:
        with torch.autocast("cpu", dtype=torch.bfloat16):
            y, _ = trained(x)
        y.backward(torch.ones_like(y))
    assert y.dtype == torch.bfloat16
    assert maps.found["torch.bfloat16"] and set(maps.found) <= {"torch.bfloat16"}, maps.found


def test_channels_last_stays_so(trained: Attention) -> None:
    x = torch.randn(2, 16, 5, 7)
    y, _ = trained.eval()(x.contiguous(memory_format=torch.channels_last))
    assert y.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(y, trained(x)[0])


def test_without_gradients_the_values_are_the_same_and_the_input_is_kept(
    trained: Attention,
) -> None:
    trained = trained.double().eval()
    x = torch.randn(2, 16, 5, 7, dtype=torch.float64)
    before = x.clone()
    expected, _ = trained(x)
    for mode in (torch.no_grad(), torch.inference_mode()):
        with mode:
            torch.testing.assert_close(trained(x)[0], expected)
    assert torch.equal(x, before)
