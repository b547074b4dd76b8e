"""Feature maps of other libraries' networks: which a network has, and how to run it for some.

A network has one map for each size, the last that its layers return, as in timm's
``features_only``: five for most, of strides 2, 4, 8, 16 and 32.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from math import log2
from typing import Any

from torch import Tensor, nn

from ean_transfer.attachment.places import EXAMPLE_SHAPE, run_example
from ean_transfer.errors import ConfigError

_POOLING = (nn.AdaptiveAvgPool2d, nn.AdaptiveMaxPool2d)


@dataclass
class _Call:
    """A call of a module: its first argument and what it returned.

    The versions of both, when they came and when they went, tell whether a function between two
    modules has overwritten what the first one returned.
    """

    name: str
    input: Any
    output: Any
    came: int | None
    went: int | None


class Maps(ABC):
    """Base of the ways to get maps from a network. An object holds no network, only names.

    Attributes:
        channels: Number of channels of each map, in forward order.
        layers: Name of the module that returns each map; empty if that is not known.
    """

    channels: tuple[int, ...]
    layers: tuple[str, ...] = ()

    def shorten(self, network: nn.Module, last: int) -> None:
        """Remove a network's layers after a map, in place, as far as they are known."""
        return None

    @abstractmethod
    def run(self, network: nn.Module, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        """Run a network on images (N, 3, H, W) for some of its maps, in forward order."""


def maps_of(network: nn.Module) -> Maps:
    """The maps of a network; if it is none of timm's, it runs once on zeros (1, 3, 224, 224).

    Args:
        network: A network of timm; one whose children run one after the other, as do torchvision's
            (the children of an ``nn.Sequential`` count as the network's own); or one that returns a
            tuple or list of maps; or one of transformers, either a backbone, which returns an
            object with ``feature_maps``, or built with ``output_hidden_states=True``.

    Raises:
        ConfigError: The network is of no such kind, or does not run on the zeros.
    """
    if hasattr(network, "forward_intermediates"):
        return _TimmMaps(network)
    calls = _run(network)
    output = calls[-1].output
    if isinstance(_listed(output), (tuple, list)):
        return _ReturnedMaps(network, _listed(output))
    if getattr(output, "hidden_states", None):
        return _HiddenStates(network, _states(output))
    return _ChainMaps(network, calls)


class _TimmMaps(Maps):
    """Maps by timm's ``forward_intermediates``, of a network that keeps its names."""

    def __init__(self, network: Any) -> None:
        self.channels = tuple(info["num_chs"] for info in network.feature_info)
        self.layers = tuple(info["module"] for info in network.feature_info)

    def shorten(self, network: Any, last: int) -> None:
        network.prune_intermediate_layers([last], prune_norm=True)

    def run(self, network: Any, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        return network.forward_intermediates(
            images, indices=list(indices), stop_early=True, intermediates_only=True
        )


class _ReturnedMaps(Maps):
    """Maps of a network that returns them, such as timm's with ``features_only=True``."""

    def __init__(self, network: nn.Module, maps: Sequence[Any]) -> None:
        if not maps or not all(_is_map(value) for value in maps):
            kinds = ", ".join(dict.fromkeys(type(value).__name__ for value in maps)) or "nothing"
            raise ConfigError(
                f"{type(network).__name__} returns a {type(maps).__name__}: expected maps "
                f"(N, C, H, W) in it, found {kinds}"
            )
        self.channels = tuple(value.shape[1] for value in maps)

    def run(self, network: nn.Module, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        maps = _listed(network(images))
        return [maps[index] for index in indices]


class _HiddenStates(Maps):
    """Maps among the hidden states that a network of transformers returns."""

    def __init__(self, network: nn.Module, states: Sequence[Tensor]) -> None:
        if not states:
            raise ConfigError(
                f"{type(network).__name__}: expected maps (N, C, H, W) among its hidden states, "
                "found none"
            )
        sizes = [state.shape[-1] for state in states]
        self._places = [i for i, size in enumerate(sizes) if size not in sizes[i + 1 : i + 2]]
        self.channels = tuple(states[place].shape[1] for place in self._places)

    def run(self, network: nn.Module, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        states = _states(network(images))
        return [states[self._places[index]] for index in indices]


class _ChainMaps(Maps):
    """Maps of a network whose children run one after the other."""

    def __init__(self, network: nn.Module, calls: Sequence[_Call]) -> None:
        self._steps: list[str] = []
        self._ends: list[int] = []  # number of the step that returns each map
        channels: list[int] = []
        strides: list[int] = []
        *steps, whole = calls
        previous, version = whole.input, whole.came
        for step in steps:
            if isinstance(network.get_submodule(step.name), _POOLING):
                break  # what follows is the head
            if isinstance(step.output, Tensor) and step.output.ndim != 4:
                continue
            if problem := self._problem(step, previous, version):
                raise ConfigError(
                    f"{type(network).__name__}: expected children that run one after the other, "
                    f"found that {step.name} {problem}: give a network of timm, one of "
                    "transformers with output_hidden_states=True, or one that returns a list of "
                    "its maps"
                )
            previous, version = step.output, step.went
            self._steps.append(step.name)
            stride = round(log2(EXAMPLE_SHAPE[-1] / previous.shape[-1]))
            if strides[-1:] == [stride]:  # a later map of the same size takes the place
                del self._ends[-1], channels[-1], strides[-1]
            self._ends.append(len(self._steps) - 1)
            channels.append(previous.shape[1])
            strides.append(stride)
        if not channels:
            raise ConfigError(
                f"{type(network).__name__}: expected children that return maps (N, C, H, W), found "
                "none that does"
            )
        self.channels = tuple(channels)
        self.layers = tuple(self._steps[end] for end in self._ends)

    def _problem(self, step: _Call, previous: Any, version: int | None) -> str | None:
        """Why a step does not continue the chain of maps; ``None`` if it does."""
        if not _is_map(step.output):
            return f"returns a {type(step.output).__name__}"
        if step.input is previous and step.came == version:
            return None
        before = self._steps[-1] if self._steps else "the images"
        return f"does not get {before} as it is"

    def shorten(self, network: nn.Module, last: int) -> None:
        kept = self._steps[: self._ends[last] + 1]
        for name, _ in list(_steps_of(network)):
            if name not in kept:
                parent, _, child = name.rpartition(".")
                delattr(network.get_submodule(parent), child)

    def run(self, network: nn.Module, images: Tensor, indices: Sequence[int]) -> list[Tensor]:
        ends = [self._ends[index] for index in indices]
        maps = []
        for number, name in enumerate(self._steps[: ends[-1] + 1]):
            images = network.get_submodule(name)(images)
            if number in ends:
                maps.append(images)
        return maps


def _run(network: nn.Module) -> list[_Call]:
    """Run a network on zeros; the calls of its steps in the order of their ends, its own last."""
    calls: list[_Call] = []
    came: dict[str, int | None] = {}

    def enter(name: str, _module: nn.Module, inputs: Any) -> None:
        came[name] = _version(inputs[0] if inputs else None)

    def leave(name: str, _module: nn.Module, inputs: Any, output: Any) -> None:
        first = inputs[0] if inputs else None
        calls.append(_Call(name, first, output, came[name], _version(output)))

    steps = dict(_steps_of(network)) | {"": network}
    handles = [m.register_forward_hook(partial(leave, name)) for name, m in steps.items()]
    handles += [m.register_forward_pre_hook(partial(enter, name)) for name, m in steps.items()]
    try:
        run_example(network, None)
    finally:
        for handle in handles:
            handle.remove()
    return calls


def _version(value: Any) -> int | None:
    # Tensors of inference mode have no version.
    return value._version if isinstance(value, Tensor) and not value.is_inference() else None


def _steps_of(network: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """Yield the children of a network by name, of an ``nn.Sequential`` its own children."""
    for name, child in network.named_children():
        if type(child) is nn.Sequential:
            yield from ((f"{name}.{inner}", step) for inner, step in child.named_children())
        else:
            yield name, child


def _listed(output: Any) -> Any:
    """What a network returns; of a backbone of transformers the maps in it."""
    return getattr(output, "feature_maps", output)


def _states(output: Any) -> list[Tensor]:
    """The maps in what a network of transformers returns, in forward order."""
    return [state for state in (*output.hidden_states, output.last_hidden_state) if _is_map(state)]


def _is_map(value: Any) -> bool:
    return isinstance(value, Tensor) and value.ndim == 4
