"""Where attention could go in a network: its modules that return maps, and the time they take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Any

import torch
from torch import nn

from ean_transfer.analysis.latency import clock
from ean_transfer.attachment.families import known_blocks_of
from ean_transfer.attachment.places import outputs_of, run_example

_ROUNDS, _WARM_UP = 7, 1  # forward passes per depth that are timed, and before these
_WHOLE = ""  # the model's own name among its modules
_PASS_ON = {"Identity", "Dropout", "Dropout2d", "DropPath", "StochasticDepth"}


@dataclass(frozen=True)
class Place:
    """A module that returns a map (N, C, H, W), on which attention could act.

    Args:
        name: Name of the module in the model, as ``attach(at=...)`` takes it.
        kind: Name of the module's class.
        channels: Number of channels C of the map.
        size: Height and width of the map on the example; of the first one if there are several.
        share: Share of the forward pass's time that the module takes, with all modules in it.
        is_block: Whether it is a residual block that :func:`~ean_transfer.blocks_of` lists, on
            whose branch ``attach()`` acts unless places are named.
    """

    name: str
    kind: str
    channels: int
    size: tuple[int, int]
    share: float
    is_block: bool


class Places(list[Place]):
    """The places of a network in forward order; as text they are a table."""

    def __str__(self) -> str:
        rows = [("name", "class", "channels", "size", "time", "block")]
        for place in self:
            size, share = "x".join(map(str, place.size)), f"{place.share:.1%}"
            mark = "yes" if place.is_block else ""
            rows.append((place.name, place.kind, str(place.channels), size, share, mark))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = []
        for row in rows:
            cells = [cell.rjust(width) for cell, width in zip(row, widths, strict=True)]
            cells[:2] = [cell.ljust(width) for cell, width in zip(row[:2], widths, strict=False)]
            lines.append("  ".join(cells).rstrip())
        return "\n".join(lines)


def places_of(model: nn.Module, example: Any = None) -> Places:
    """List the modules of a network whose output attention could act on.

    Modules within a residual block are left out, and so are those that return what they were given
    (``Identity``, dropout) and those that return maps of different channels when called again.

    Times are medians over several forward passes in eval mode. Each pass times modules of one depth
    in the model, and the depths take turns, so that no time contains that of taking others and a
    busy machine slows all alike.

    Args:
        model: The model.
        example: What the model is called with: a tensor, such as images (N, C, H, W), or another
            argument, or a tuple of arguments. ``None``: zeros (1, 3, 224, 224).

    Returns:
        The places in the order in which the forward pass enters them.

    Raises:
        ConfigError: The model fails on the example.
    """
    blocks = {block.name for block in known_blocks_of(model)}
    modules = {
        name: module
        for name, module in model.named_modules()
        if name
        and type(module).__name__ not in _PASS_ON
        and not any(name.startswith(f"{block}.") for block in blocks)
    }
    maps = {
        name: shapes
        for name, shapes in outputs_of(model, modules, example).items()
        if all(not isinstance(shape, str) and len(shape) == 4 for shape in shapes)
        and len({shape[1] for shape in shapes}) == 1
    }
    shares = _time_shares(model, {name: modules[name] for name in maps}, example)
    return Places(
        Place(
            name=name,
            kind=type(modules[name]).__name__,
            channels=shapes[0][1],
            size=shapes[0][2:],
            share=shares[name],
            is_block=name in blocks,
        )
        for name, shapes in maps.items()
    )


def _time_shares(
    model: nn.Module, modules: Mapping[str, nn.Module], example: Any
) -> dict[str, float]:
    """Share of a forward pass's time that each module takes."""
    shares: dict[str, list[float]] = {name: [] for name in modules}
    depths = {name.count(".") for name in modules}
    for index in range(_WARM_UP + _ROUNDS):
        for depth in depths:
            group = {name: m for name, m in modules.items() if name.count(".") == depth}
            seconds = _seconds(model, {_WHOLE: model, **group}, example)
            for name in group if index >= _WARM_UP else ():
                shares[name].append(seconds[name] / seconds[_WHOLE])
    return {name: median(values) for name, values in shares.items()}


def _seconds(model: nn.Module, modules: Mapping[str, nn.Module], example: Any) -> dict[str, float]:
    """Time of each module in one forward pass, in seconds, all its calls together."""
    device = next((tensor.device for tensor in model.parameters()), torch.device("cpu"))
    seconds = dict.fromkeys(modules, 0.0)

    def enter(name: str, *_: Any) -> None:
        seconds[name] -= clock(device)

    def leave(name: str, *_: Any) -> None:
        seconds[name] += clock(device)

    handles = [m.register_forward_pre_hook(partial(enter, name)) for name, m in modules.items()]
    handles += [m.register_forward_hook(partial(leave, name)) for name, m in modules.items()]
    try:
        run_example(model, example)
    finally:
        for handle in handles:
            handle.remove()
    return seconds
