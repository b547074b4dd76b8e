"""Work that masks share: a forward of a mask does again only what differs from the one before.

A block's input depends only on the bits of the blocks before it. Masks are run in descending
order, so that those which begin alike follow one another, and what they share is done once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import TreeSpec, tree_flatten, tree_leaves, tree_unflatten

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attention.base import State
from ean_transfer.supernet.order import ForwardOrder
from ean_transfer.ticket.mask import Mask

_PLAIN = (bool, int, float, str, torch.dtype, torch.device, torch.Size)


class Work(AbstractContextManager["Work"]):
    """Runs a supernet under many masks, one after the other; here without sharing anything.

    Within the context, call :meth:`use` with each of :attr:`masks` and then the model. On exit the
    network has the mask that it had before.

    Args:
        network: The supernet.
        masks: Masks of one truth value per block, without repeats.

    Attributes:
        masks: The masks in the order in which most is shared.
        bits: The beginning of the mask that decides the input of whatever runs now.
    """

    def __init__(self, network: MaskableNetwork, masks: Sequence[Mask]) -> None:
        self.network = network
        self.masks = sorted(masks, reverse=True)
        self.mask: Mask = ()
        self.bits: Mask = ()

    def forget(self) -> None:
        """Compute everything anew, since the layers compute something else from now on."""

    def use(self, mask: Mask) -> None:
        """Make the next forwards those of a mask."""
        self.mask = self.bits = mask
        self.network.set_mask(mask)

    def __enter__(self) -> Work:
        self._before = self.network.mask
        return self

    def __exit__(self, *_: object) -> None:
        self.network.set_mask(self._before)


@dataclass
class _Call:
    """The last call of a module: what it got and returned, each tensor and number by itself.

    Lists and dicts are not kept, because the network may put other tensors into them later.
    """

    arguments: list[Any]
    bits: Mask  # of the places inside the module
    outputs: list[Any]
    container: TreeSpec  # that the outputs were returned in
    versions: list[int]  # of the tensors, to notice that one was overwritten later
    states: list[list[State]]  # after the call

    def is_repeated_by(self, arguments: list[Any], bits: Mask) -> bool:
        """Whether a call gets the same things, none of which was overwritten meanwhile."""
        return (
            bits == self.bits
            and len(arguments) == len(self.arguments)
            and all(map(_same, arguments, self.arguments))
            and self.versions == _versions(arguments, self.outputs)
        )


class RememberedCalls(Work):
    """Shares the work of any network, whatever its forward does between its modules.

    A module that is called with the very same tensors under the same bits as the last time returns
    what it returned then, so that a forward runs only the blocks from the first differing bit on.
    Remembered are the blocks, the modules that hold them, and the modules between them: about as
    many feature maps as there are blocks. What runs inside a block or after the last one is not.

    A forward is refused (ConfigError) if its blocks run in another order than a mask's bits.
    """

    def __enter__(self) -> Work:
        super().__enter__()
        network = self.network.network
        self.network.set_mask([False] * len(self._before))  # leaves the hooks that are not ours
        self._overwriting = [m for m in network.modules() if getattr(m, "inplace", False) is True]
        for module in self._overwriting:
            module.inplace = False  # type: ignore[assignment]
        self._wrapped: list[nn.Module] = []
        self._last: dict[int, _Call] = {}  # by the module's place in that list
        self._remember_parts_of(network)
        self._start = network.register_forward_pre_hook(self._begin)
        return self

    def __exit__(self, *exception: object) -> None:
        self._start.remove()
        for module in self._wrapped:
            del module._call_impl  # that of the class is then called again
        for module in self._overwriting:
            module.inplace = True  # type: ignore[assignment]
        super().__exit__(*exception)

    def forget(self) -> None:
        self._last.clear()

    def _begin(self, *_: Any) -> None:
        self.bits = ()
        self._order = ForwardOrder(self.network)
        for kept in self.network.states:
            kept[:] = [None] * len(kept)

    def _remember_parts_of(self, module: nn.Module) -> None:
        places = self.network.places
        for part in module.children():
            parts = set(part.modules())
            inside = [index for index, place in enumerate(places) if place in parts]
            if inside and part not in places:
                self._remember_parts_of(part)
            # Hooks of others, which e.g. collect feature maps, must see each call. A module may be
            # the child of several others.
            if part not in self._wrapped and not any(map(_is_watched, parts)):
                # Around the module's own hooks, of which attention is one. They are called by
                # nn.Module._call_impl, the only place that they can be skipped from.
                call = self._remembering(part._call_impl, inside, part in places)
                part._call_impl = call  # type: ignore[method-assign]
                self._wrapped.append(part)

    def _remembering(
        self, call: Callable[..., Any], places: list[int], is_place: bool
    ) -> Callable[..., Any]:
        key = len(self._wrapped)

        def remembering(*args: Any, **kwargs: Any) -> Any:
            last = self._last.get(key)
            if is_place:
                self._order.enter(places[0])
            if len(self.bits) == len(self.mask):  # after the last block, nothing can be shared
                return call(*args, **kwargs)
            arguments = tree_leaves((args, kwargs))
            bits = tuple(self.mask[place] for place in places)
            if last is not None and last.is_repeated_by(arguments, bits):
                for place in places:  # which the module would have run
                    self._order.enter(place)
                for kept, state in zip(self.network.states, last.states, strict=True):
                    kept[:] = state
                output = tree_unflatten(last.outputs, last.container)
            else:
                last = None
                self._last.pop(key, None)  # frees its output before the new one is made
                before = _versions(arguments)
                output = call(*args, **kwargs)
                outputs, container = tree_flatten(output)
                # A module may replace what is in a list or dict that it gets.
                is_untouched = _ids(arguments) == _ids(tree_leaves((args, kwargs)))
                if is_untouched and all(map(_is_comparable, [*arguments, *outputs])):
                    versions = before + _versions(outputs)
                    states = [list(state) for state in self.network.states]
                    last = _Call(arguments, bits, outputs, container, versions, states)
                    self._last[key] = last
            if places:  # a block that runs again takes no bit back
                self.bits = max(self.bits, self.mask[: places[-1] + 1], key=len)
            return output

        return remembering


def _is_watched(module: nn.Module) -> bool:
    """Whether a module has hooks that are not those of attached attention."""
    hooks = [*module._forward_hooks.values(), *module._forward_pre_hooks.values()]
    return any(not isinstance(getattr(h, "__self__", None), MaskableNetwork) for h in hooks)


def _versions(*trees: Any) -> list[int]:
    return [leaf._version for leaf in tree_leaves(trees) if isinstance(leaf, Tensor)]


def _ids(leaves: list[Any]) -> list[int]:
    return [id(leaf) for leaf in leaves]


def _is_comparable(leaf: Any) -> bool:
    """Whether it can be told that a value is still the same; an object's attributes may change."""
    return leaf is None or isinstance(leaf, (Tensor, *_PLAIN))


def _same(one: Any, other: Any) -> bool:
    """Whether two comparable values are the same tensor or equal numbers."""
    return one is other or (
        isinstance(one, _PLAIN) and type(one) is type(other) and bool(one == other)
    )
