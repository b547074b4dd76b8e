"""Attention weights of timm and mmpretrain, under our names where the formulas are the same.

==========================  =======================================  ==================
theirs, in ``layer1.0``     what differs from ours                   ours
==========================  =======================================  ==================
timm's ``SEModule``         1 x 1 convolutions, no linear layers     :class:`~.se.SE`
mmpretrain's ``SELayer``    1 x 1 convolutions of other names        :class:`~.se.SE`
timm's ``CbamModule``       no biases; mean and maximum exchanged    :class:`~.cbam.CBAM`
==========================  =======================================  ==================

They act where ours do, at the end of a residual branch. Those of torchvision's networks
(``SqueezeExcitation``) act inside the branch: they stay parts of their network.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import groupby

import torch
from torch import Tensor, nn

from ean_transfer.attention.cbam import CBAM
from ean_transfer.attention.se import SE

_THEIRS = re.compile(r"((?:.*\.)?)layer(\d+)\.(\d+)\.(?:se|se_module|se_layer)\.(.+)\.(\w+)")
_LAYERS: dict[type[nn.Module], dict[str, str]] = {
    SE: {"fc1": "fc1", "fc2": "fc2", "conv1.conv": "fc1", "conv2.conv": "fc2"},
    CBAM: {
        "channel.fc1": "fc1",
        "channel.fc2": "fc2",
        "spatial.conv.conv": "conv",
        "spatial.conv.bn": "bn",
    },
}
"""Our module -> their layers' names -> ours."""


def in_our_form(weights: Mapping[str, Tensor], network: nn.Module) -> dict[str, Tensor]:
    """The weights of published attention modules that a network's own modules can take, as theirs.

    Args:
        weights: Name -> tensor, all names but those of the attention as in the network.
        network: A ticketed backbone or a network that attention was attached to, with one module
            per block.

    Returns:
        Name in the weights or, for their attention modules, in the network -> tensor.
    """
    modules = {name: module for name, module in network.named_modules() if type(module) in _LAYERS}
    kept = network.state_dict().keys()  # a network of timm may have modules of both kinds
    result: dict[str, Tensor] = {}
    for place, names in groupby(weights, key=lambda name: () if name in kept else _place(name)):
        part = {name: weights[name] for name in names}
        own = [name for name in place if name in modules]
        ours = _converted(part, own[0], modules[own[0]]) if own else None
        result |= part if ours is None else ours
    return result


def _place(name: str) -> tuple[str, ...]:
    """Where a network of ours may hold the attention of a tensor's block; empty: it has none."""
    if (match := _THEIRS.fullmatch(name)) is None:
        return ()
    before, stage, block, *_ = match.groups()
    return (
        f"{before}layer{stage}.{block}.attention",
        f"{before}attention.stage{stage}.{block}",  # attach()
    )


def _converted(
    weights: Mapping[str, Tensor], place: str, module: nn.Module
) -> dict[str, Tensor] | None:
    """One module's weights as ours; ``None`` where its formula is another."""
    layers = _LAYERS[type(module)]
    result: dict[str, Tensor] = {}
    for name, tensor in weights.items():
        match = _THEIRS.fullmatch(name)
        layer, kind = match.groups()[-2:] if match else ("", "")
        if layer not in layers:
            return None
        ours = layers[layer]
        if ours.startswith("fc") and kind == "weight":
            tensor = tensor.flatten(1)
        elif ours == "conv":
            tensor = tensor.flip(1)  # they concatenate mean and maximum, we maximum and mean
        result[f"{place}.{ours}.{kind}"] = tensor
    own = {f"{place}.{n}": tensor for n, tensor in module.state_dict().items() if n != "gain"}
    for name in [name for name in own if name not in result and ".fc" in name]:
        if name.endswith("bias"):
            result[name] = torch.zeros_like(own[name])  # a layer without bias
    return result if result.keys() == own.keys() else None
