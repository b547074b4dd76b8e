"""Each module against a literal transcription of its paper's formula, in float64."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from ean_transfer.attention import (
    CBAM,
    DIA,
    ECA,
    IE,
    LSAS,
    SE,
    SEM,
    SGE,
    SPA,
    SRM,
    CoordAtt,
    SimAM,
    build_attention,
)

CHANNELS = 8
close = torch.testing.assert_close


def build(kind: type, **options):
    """With random parameters and running statistics, in evaluation mode."""
    torch.manual_seed(0)
    module = build_attention({"type": kind, **options}, CHANNELS).double().eval()
    with torch.no_grad():
        for p in module.parameters():
            p.copy_(torch.randn_like(p))
        for name, b in module.named_buffers():
            if name.endswith(("mean", "var")):
                b.copy_(torch.rand_like(b) + 0.5)
    return module


def features(n: int = 3, h: int = 5, w: int = 7) -> Tensor:
    return torch.randn(n, CHANNELS, h, w, dtype=torch.float64)


def sigma(t: Tensor) -> Tensor:
    return 1 / (1 + torch.exp(-t))


def linear(layer, v: Tensor) -> Tensor:
    """A linear layer, or a convolution of one pixel, along the last axis."""
    weight = layer.weight.reshape(layer.weight.shape[:2])
    return v @ weight.T + (0 if layer.bias is None else layer.bias)


def mlp(module, v: Tensor) -> Tensor:
    return linear(module.fc2, linear(module.fc1, v).clamp(min=0))


def bn(layer, v: Tensor) -> Tensor:
    """Along the last axis, with running statistics."""
    normalised = (v - layer.running_mean) / (layer.running_var + layer.eps).sqrt()
    return normalised * layer.weight + layer.bias


def gap(x: Tensor) -> Tensor:
    return x.sum((2, 3)) / (x.shape[2] * x.shape[3])


def eca_logits(module, v: Tensor) -> Tensor:
    kernel = module.conv.weight.flatten()
    reach = len(kernel) // 2
    out = torch.zeros_like(v)
    for c in range(CHANNELS):
        for k, weight in enumerate(kernel):
            if 0 <= (other := c + k - reach) < CHANNELS:
                out[:, c] += weight * v[:, other]
    return out


def test_se() -> None:
    module, x = build(SE, reduction=2), features()
    close(module(x)[0], x * sigma(mlp(module, gap(x)))[:, :, None, None])


def test_sge() -> None:
    module, x = build(SGE, groups=2), features()
    expected = torch.empty_like(x)
    for n in range(len(x)):
        for g in range(2):
            part = x[n, 4 * g : 4 * g + 4]
            t = sum(part[c] * part[c].mean() for c in range(4))
            t = (t - t.mean()) / (t.std(unbiased=True) + 1e-5)
            gate = sigma(module.weight[0, g] * t + module.bias[0, g])
            expected[n, 4 * g : 4 * g + 4] = part * gate
    close(module(x)[0], expected)


def test_sge_of_one_pixel_is_gated_by_its_bias() -> None:
    module, x = build(SGE, groups=2), features(2, 1, 1)
    gate = sigma(module.bias).repeat_interleave(4, dim=1)
    close(module(x)[0], x * gate)


def test_dia_over_two_blocks() -> None:
    module = build(DIA, reduction=2)
    hidden = cell = torch.zeros(3, CHANNELS, dtype=torch.float64)
    state = None
    for x in (features(), features()):
        gates = module.input_gates(gap(x)) + module.hidden_gates(hidden)
        i, f, g, o = (gates[:, CHANNELS * k : CHANNELS * (k + 1)] for k in range(4))
        cell = sigma(f) * cell + sigma(i) * torch.tanh(g)
        hidden = sigma(o) * sigma(cell)
        y, state = module(x, state)
        close(y, x * hidden[:, :, None, None])


def test_cbam() -> None:
    module, x = build(CBAM, reduction=2, kernel_size=3), features()
    n, c, h, w = x.shape
    maxima = torch.stack([torch.stack([x[i, j].max() for j in range(c)]) for i in range(n)])
    attended = x * sigma(mlp(module, gap(x)) + mlp(module, maxima))[:, :, None, None]
    pooled = torch.stack([attended.max(1).values, attended.sum(1) / c], 1)
    padded = F.pad(pooled, (1, 1, 1, 1))
    logits = torch.zeros(n, h, w, dtype=x.dtype)
    for i in range(h):
        for j in range(w):
            window = padded[:, :, i : i + 3, j : j + 3]
            logits[:, i, j] = (window * module.conv.weight[0]).sum((1, 2, 3))
    gate = sigma(bn(module.bn, logits[..., None])[..., 0])
    close(module(x)[0], attended * gate[:, None])


def test_eca() -> None:
    module, x = build(ECA), features()
    close(module(x)[0], x * sigma(eca_logits(module, gap(x)))[:, :, None, None])


def test_ie() -> None:
    module, x = build(IE), features()
    close(module(x)[0], x * sigma(module.weight * gap(x) + module.bias)[:, :, None, None])


@pytest.mark.parametrize("size", [(8, 8), (5, 7), (3, 2), (1, 6), (1, 1), (13, 4)])
def test_spa(size: tuple[int, int]) -> None:
    module, x = build(SPA, reduction=2), features(3, *size)
    v = torch.cat([F.adaptive_avg_pool2d(x, cells).flatten(1) for cells in (4, 2, 1)], dim=1)
    close(module.pool(x), v)
    close(module(x)[0], x * sigma(mlp(module, v))[:, :, None, None])


@pytest.mark.parametrize("training", [False, True])
def test_srm(training: bool) -> None:
    module, x = build(SRM).train(training), features()
    mean = gap(x)
    variance = ((x - mean[:, :, None, None]) ** 2).sum((2, 3)) / (5 * 7 - 1)
    z = mean * module.cfc[:, 0] + (variance + 1e-5).sqrt() * module.cfc[:, 1]
    if training:
        z = (z - z.mean(0)) / (z.var(0, unbiased=False) + 1e-5).sqrt()
        z = z * module.bn.weight + module.bn.bias
    else:
        z = bn(module.bn, z)
    close(module(x)[0], x * sigma(z)[:, :, None, None])


@pytest.mark.parametrize("e_lambda", [1e-4, 0.5])
def test_simam(e_lambda: float) -> None:
    module, x = build(SimAM, e_lambda=e_lambda), features()
    squares = (x - gap(x)[:, :, None, None]) ** 2
    v = squares.sum((2, 3), keepdim=True) / (5 * 7 - 1)
    close(module(x)[0], x * sigma(squares / (4 * (v + e_lambda)) + 0.5))


def test_coordatt() -> None:
    module, x = build(CoordAtt), features()
    n, c, h, w = x.shape
    expected = torch.empty_like(x)

    def hidden(v: Tensor) -> Tensor:  # (N, C), the means of one row or column
        v = bn(module.bn, linear(module.conv, v))
        return v * (v + 3).clamp(0, 6) / 6

    for i in range(h):
        for j in range(w):
            row, column = hidden(x[:, :, i].sum(2) / w), hidden(x[:, :, :, j].sum(2) / h)
            a_h, a_w = sigma(linear(module.conv_h, row)), sigma(linear(module.conv_w, column))
            expected[:, :, i, j] = x[:, :, i, j] * a_h * a_w
    close(module(x)[0], expected)


def test_sem() -> None:
    module, x = build(SEM, reduction=2), features()
    v = gap(x)
    switches = sigma(linear(module.switch, v))
    s = sigma(switches[:, 0:1] * mlp(module.se, v))
    s = s * sigma(switches[:, 1:2] * eca_logits(module.eca, v))
    s = s * sigma(switches[:, 2:3] * (module.ie.weight * v + module.ie.bias))
    close(module(x)[0], x * s[:, :, None, None])


@pytest.mark.parametrize("n", [0, 1, 3])
def test_lsas(n: int) -> None:
    module, x = build(LSAS, reduction=2, n=n), features()
    subs = [mlp(module.se, gap(x))]
    for i in range(n):
        subs.append(module.sub_weights[i] * subs[-1] + module.sub_biases[i])
    s = torch.stack([sigma(sub) for sub in subs]).prod(0)
    close(module(x)[0], x * s[:, :, None, None])
