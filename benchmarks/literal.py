"""The attention modules by their formulas, written out plainly: what :mod:`~.modules` times ours
against.

Each formula is what one would write who transcribes the paper, on the parameters of our module.
DIA starts at each call with the state 0, as at a stage's first connected block.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ean_transfer.attention import Attention

Formula = Callable[[Any, Tensor], Tensor]
"""From a module and a branch (N, C, H, W) to the recalibrated branch."""


class Literal(nn.Module):
    """Our module's parameters under the formula of its name."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention
        self.formula = FORMULAS[type(attention).__name__]

    def forward(self, x: Tensor) -> Tensor:
        return self.formula(self.attention, x)


class Ours(nn.Module):
    """Our module as a layer, without what it passes to a next block."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x)[0]


def gap(x: Tensor) -> Tensor:
    return x.mean(dim=(2, 3))


def mlp(module: Any, v: Tensor) -> Tensor:
    return module.fc2(torch.relu(module.fc1(v)))


def per_channel(x: Tensor, weights: Tensor) -> Tensor:
    return x * weights[:, :, None, None]


def se(module: Any, x: Tensor) -> Tensor:
    return per_channel(x, torch.sigmoid(mlp(module, gap(x))))


def eca(module: Any, x: Tensor) -> Tensor:
    return per_channel(x, torch.sigmoid(module.conv(gap(x)[:, None])[:, 0]))


def ie(module: Any, x: Tensor) -> Tensor:
    return per_channel(x, torch.sigmoid(module.weight * gap(x) + module.bias))


def spa(module: Any, x: Tensor) -> Tensor:
    v = torch.cat([F.adaptive_avg_pool2d(x, cells).flatten(1) for cells in (4, 2, 1)], dim=1)
    return per_channel(x, torch.sigmoid(mlp(module, v)))


def srm(module: Any, x: Tensor) -> Tensor:
    deviation = (x.var(dim=(2, 3)) + 1e-5).sqrt()
    style = torch.stack([gap(x), deviation], dim=2)
    return per_channel(x, torch.sigmoid(module.bn((style * module.cfc).sum(dim=2))))


def dia(module: Any, x: Tensor) -> Tensor:
    v = gap(x)
    h = c = torch.zeros_like(v)
    i, f, g, o = (module.input_gates(v) + module.hidden_gates(h)).chunk(4, dim=1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return per_channel(x, torch.sigmoid(o) * torch.sigmoid(c))


def sem(module: Any, x: Tensor) -> Tensor:
    v = gap(x)
    s = torch.sigmoid(module.switch(v))
    y = per_channel(x, torch.sigmoid(s[:, 0:1] * mlp(module.se, v)))
    y = per_channel(y, torch.sigmoid(s[:, 1:2] * module.eca.conv(v[:, None])[:, 0]))
    return per_channel(y, torch.sigmoid(s[:, 2:3] * (module.ie.weight * v + module.ie.bias)))


def lsas(module: Any, x: Tensor) -> Tensor:
    sub = mlp(module.se, gap(x))
    y = per_channel(x, torch.sigmoid(sub))
    for weight, bias in zip(module.sub_weights, module.sub_biases, strict=True):
        sub = weight * sub + bias
        y = per_channel(y, torch.sigmoid(sub))
    return y


def sge(module: Any, x: Tensor) -> Tensor:
    n, c, h, w = x.shape
    x = x.reshape(n, module.groups, c // module.groups, h, w)
    t = (x * x.mean(dim=(3, 4), keepdim=True)).sum(dim=2)
    t = t - t.mean(dim=(2, 3), keepdim=True)
    t = t / (t.std(dim=(2, 3), keepdim=True) + 1e-5)
    gate = torch.sigmoid(module.weight * t + module.bias)
    return (x * gate[:, :, None]).reshape(n, c, h, w)


def simam(module: Any, x: Tensor) -> Tensor:
    squares = (x - x.mean(dim=(2, 3), keepdim=True)) ** 2
    v = squares.sum(dim=(2, 3), keepdim=True) / (x.shape[2] * x.shape[3] - 1)
    return x * torch.sigmoid(squares / (4 * (v + module.e_lambda)) + 0.5)


def cbam(module: Any, x: Tensor) -> Tensor:
    x = per_channel(x, torch.sigmoid(mlp(module, gap(x)) + mlp(module, x.amax(dim=(2, 3)))))
    pooled = torch.cat([x.amax(dim=1, keepdim=True), x.mean(dim=1, keepdim=True)], dim=1)
    return x * torch.sigmoid(module.bn(module.conv(pooled)))


def coordatt(module: Any, x: Tensor) -> Tensor:
    height = x.shape[2]
    joined = torch.cat([x.mean(dim=3), x.mean(dim=2)], dim=2)
    hidden = F.hardswish(module.bn(module.conv(joined)))
    a_h = torch.sigmoid(module.conv_h(hidden[:, :, :height]))
    a_w = torch.sigmoid(module.conv_w(hidden[:, :, height:]))
    return x * a_h[:, :, :, None] * a_w[:, :, None, :]


FORMULAS: dict[str, Formula] = {
    "SE": se,
    "SGE": sge,
    "DIA": dia,
    "CBAM": cbam,
    "ECA": eca,
    "SPA": spa,
    "IE": ie,
    "SRM": srm,
    "SimAM": simam,
    "CoordAtt": coordatt,
    "SEM": sem,
    "LSAS": lsas,
}
