"""Names of the known backbones and the residual blocks of each of their stages.

Kept free of torch, so that a ticket can be checked against its backbone without building one.
"""

from __future__ import annotations

_IMAGENET: dict[str, tuple[int, ...]] = {
    "resnet18": (2, 2, 2, 2),
    "resnet34": (3, 4, 6, 3),
    "resnet50": (3, 4, 6, 3),
    "resnet101": (3, 4, 23, 3),
    "resnet152": (3, 8, 36, 3),
}
# He et al. 2016, section 4.2: three stages of n blocks, 6n + 2 layers with basic blocks and
# 9n + 2 with bottlenecks.
CIFAR_BASIC_DEPTHS = (8, 14, 20, 32, 44, 56, 110)
CIFAR_BOTTLENECK_DEPTHS = (164,)
_CIFAR: dict[str, tuple[int, ...]] = {
    f"resnet{depth}_cifar": ((depth - 2) // layers,) * 3
    for depths, layers in ((CIFAR_BASIC_DEPTHS, 6), (CIFAR_BOTTLENECK_DEPTHS, 9))
    for depth in depths
}

BLOCKS: dict[str, tuple[int, ...]] = _IMAGENET | _CIFAR
"""Backbone name -> residual blocks of each stage."""
