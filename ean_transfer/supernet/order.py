"""Refuses networks whose blocks run in another order than the bits of a mask.

A ticket lists blocks in the order in which the model registers them. Shared work, statistics of a
mask and DIA's state rely on it that they run in this order.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from torch.utils.hooks import RemovableHandle

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.errors import ConfigError


class ForwardOrder:
    """Compares the order in which a network's blocks run with that of its mask's bits.

    A block may run again; only its first run tells.

    Args:
        network: The network.
    """

    def __init__(self, network: MaskableNetwork) -> None:
        self.network = network
        self._seen: set[int] = set()
        self._last = -1
        self._handles: list[RemovableHandle] = []

    def watch(self) -> None:
        """Call :meth:`enter` before each block of the next forward, until all blocks have run."""
        if self.network.runs_in_steps:
            return  # such a forward goes through its list of blocks
        for number, place in enumerate(self.network.places):
            hook = partial(self._before_block, number)
            self._handles.append(place.register_forward_pre_hook(hook))

    def stop(self) -> None:
        """Watch no longer."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def enter(self, number: int) -> None:
        """Note that a block begins to run.

        Args:
            number: Its number among the network's blocks.

        Raises:
            ConfigError: A later block of the mask has run, but this one had not.
        """
        if number not in self._seen and number < self._last:
            network = self.network.network
            names = {module: name for name, module in network.named_modules()}
            late, early = (names.get(self.network.places[i], i) for i in (number, self._last))
            raise ConfigError(
                f"{type(network).__name__}: expected blocks that run in the order of a mask's "
                f"bits, in which they are registered, found that {late} runs after {early}: "
                "register them in the order of the forward, or name them by attach(at=...)"
            )
        self._seen.add(number)
        self._last = max(self._last, number)

    def _before_block(self, number: int, *_: Any) -> None:
        self.enter(number)
        if len(self._seen) == len(self.network.places):
            self.stop()
