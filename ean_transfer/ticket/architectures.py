"""Names of the known backbones and the residual blocks of each of their stages.

Kept free of torch, so that a ticket can be checked against its backbone without building one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ean_transfer.errors import ConfigError

RESNET = "resnet{depth}"
RESNEXT = "resnext{depth}_{groups}x{width_per_group}d"
RESNET_CIFAR = "resnet{depth}_cifar"
PRERESNET_CIFAR = "preresnet{depth}_cifar"
WRN_CIFAR = "wrn{depth}_{width}_cifar"
RESNEXT_CIFAR = "resnext{depth}_{groups}x{width_per_group}d_cifar"
"""Patterns of names; their fields are arguments of the backbone."""

_BASIC, _BOTTLENECK = "basic", "bottleneck"
_Layout = tuple[str, tuple[int, ...]]

_BASIC_RESNETS: dict[int, _Layout] = {
    18: (_BASIC, (2, 2, 2, 2)),
    34: (_BASIC, (3, 4, 6, 3)),
}
_BOTTLENECK_RESNETS: dict[int, _Layout] = {
    50: (_BOTTLENECK, (3, 4, 6, 3)),
    101: (_BOTTLENECK, (3, 4, 23, 3)),
    152: (_BOTTLENECK, (3, 8, 36, 3)),
}
_IMAGENET = {RESNET: _BASIC_RESNETS | _BOTTLENECK_RESNETS, RESNEXT: _BOTTLENECK_RESNETS}

# CIFAR networks have three stages of n blocks. Kind of block: (a, b) where an + b is the depth. If
# a depth fits both kinds, the first one is taken. He et al. 2016 (arXiv 1512.03385, section 4.2),
# Zagoruyko 2016 (arXiv 1605.07146), Xie et al. 2017 (arXiv 1611.05431).
_RESNET_DEPTHS = {_BASIC: (6, 2), _BOTTLENECK: (9, 2)}
_CIFAR: dict[str, dict[str, tuple[int, int]]] = {
    RESNET_CIFAR: _RESNET_DEPTHS,
    PRERESNET_CIFAR: _RESNET_DEPTHS,
    WRN_CIFAR: {_BASIC: (6, 4)},
    RESNEXT_CIFAR: {_BOTTLENECK: (9, 2)},
}
_PUBLISHED_WITH_BOTTLENECKS = 164  # He et al. 2016 (arXiv 1603.05027), although it is 6n + 2 too

PATTERNS = (*_IMAGENET, *_CIFAR)
EXAMPLES = (
    "resnet50",
    "resnext50_32x4d",
    "resnet20_cifar",
    "preresnet164_cifar",
    "wrn52_4_cifar",
    "resnext29_8x64d_cifar",
)
"""One name for each pattern."""

# A ticket's backbone may be any text. Numbers have at most four digits and no leading zeros, so
# that two spellings never name the same network.
_REGEXES = {
    pattern: re.compile(re.sub(r"\{(\w+)\}", r"(?P<\1>[1-9][0-9]{0,3})", pattern))
    for pattern in PATTERNS
}


def parse_name(name: str) -> tuple[str, dict[str, int]] | None:
    """The pattern of a backbone's name and its numbers by field; ``None`` if it has no pattern.

    ``"wrn52_4_cifar"`` gives ``(WRN_CIFAR, {"depth": 52, "width": 4})``.
    """
    for pattern, regex in _REGEXES.items():
        if match := regex.fullmatch(name):
            return pattern, {field: int(number) for field, number in match.groupdict().items()}
    return None


def blocks_per_stage(name: str) -> tuple[int, ...] | None:
    """Residual blocks of each stage of a backbone; ``None`` if its name is not a known one."""
    parsed = parse_name(name)
    if parsed is None:
        return None
    pattern, numbers = parsed
    layout = _layout(pattern, numbers["depth"])
    return None if layout is None else layout[1]


def layout_of(pattern: str, depth: int) -> tuple[str, tuple[int, ...]]:
    """The kind of a network's residual blocks and the number of them in each stage.

    Args:
        pattern: One of :data:`PATTERNS`.
        depth: Number of layers.

    Returns:
        ``"basic"`` or ``"bottleneck"``, and the blocks of each stage.

    Raises:
        ConfigError: There is no network of that depth; names the nearest depths.
    """
    layout = _layout(pattern, depth)
    if layout is None:
        raise ConfigError(_no_such_depth(pattern, depth))
    return layout


def unknown_backbone(name: str) -> str:
    """Message for a name that :func:`blocks_per_stage` does not know: the names there are."""
    if parsed := parse_name(name):
        pattern, numbers = parsed
        return f"unknown backbone {name!r}: {_no_such_depth(pattern, numbers['depth'])}"
    return (
        f"unknown backbone {name!r}: expected a name such as {', '.join(EXAMPLES)}, with the "
        "numbers of your network"
    )


def _layout(pattern: str, depth: int) -> _Layout | None:
    if pattern in _IMAGENET:
        return _IMAGENET[pattern].get(depth)
    for kind, (a, b) in _CIFAR[pattern].items():
        if kind == _BASIC and depth == _PUBLISHED_WITH_BOTTLENECKS:
            continue
        if depth > b and (depth - b) % a == 0:
            return kind, ((depth - b) // a,) * 3
    return None


def _no_such_depth(pattern: str, depth: int) -> str:
    if pattern in _IMAGENET:
        depths = list(_IMAGENET[pattern])
        expected = ", ".join(map(str, depths))
    else:
        formulas = _CIFAR[pattern]
        depths = [
            a * max(1, (depth - b) // a + more) + b for a, b in formulas.values() for more in (0, 1)
        ]
        expected = " or ".join(f"{a}n+{b} ({kind} blocks)" for kind, (a, b) in formulas.items())
    ends = (
        max((d for d in depths if d < depth), default=None),
        min((d for d in depths if d > depth), default=None),
    )
    nearest = " and ".join(str(end) for end in ends if end is not None)
    family = re.sub(r"_?\{\w+\}[xd]?", "", pattern)  # "resnext_cifar"
    return f"{family} has depths {expected}, found {depth}: nearest {nearest}"


def block_names(blocks: Sequence[int]) -> list[str]:
    """``1.1``, ``1.2`` ...: stage and block within it, from 1, in the order of a ticket's bits.

    Args:
        blocks: Number of blocks of each stage.
    """
    return [f"{stage}.{b}" for stage, n in enumerate(blocks, start=1) for b in range(1, n + 1)]
