"""The masks that a search may propose: all of them, or those with some numbers of connections."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence

import numpy as np
from scipy.special import betaln, softmax, xlog1py, xlogy

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Natural
from ean_transfer.ticket.mask import Mask

Connections = Natural | tuple[Natural, Natural] | None
"""How many blocks a mask may connect: exactly so many, from the first number to the second, or
any number (``None``)."""

_REJECTIONS = 64  # draws before the unseen masks are taken to be rare


def flipped(mask: Mask, blocks: Iterable[int]) -> list[Mask]:
    """Copies of the mask, each with the bit of one of the blocks changed."""
    return [(*mask[:block], not mask[block], *mask[block + 1 :]) for block in blocks]


def evenly_spread(num_blocks: int, count: int) -> Mask:
    """The mask that connects ``count`` blocks at equal distances."""
    return tuple(
        (block + 1) * count // num_blocks > block * count // num_blocks
        for block in range(num_blocks)
    )


class MaskSpace:
    """The masks of m blocks whose number of connections lies in a range.

    Args:
        num_blocks: Number of blocks, m.
        connections: The numbers of connections, see :data:`Connections`.

    Attributes:
        low: Smallest number of connections.
        high: Largest number of connections.
        size: Number of masks.
        is_whole: Whether every mask is in the space.

    Raises:
        ConfigError: There is no such number of connections.
    """

    def __init__(self, num_blocks: int, connections: Connections = None) -> None:
        if connections is None:
            connections = (0, num_blocks)
        elif isinstance(connections, int):
            connections = (connections, connections)
        self.num_blocks = num_blocks
        self.low, self.high = connections
        if not 0 <= self.low <= self.high <= num_blocks:
            raise ConfigError(
                f"connections: expected two numbers that rise from 0 to at most {num_blocks} "
                f"(blocks), or one of them, found {self.low} and {self.high}"
            )
        self.is_whole = (self.low, self.high) == (0, num_blocks)
        # [n][c]: in how many ways the last n blocks complete a mask whose others have c connections
        self._ways = [[int(self.low <= c <= self.high) for c in range(num_blocks + 1)]]
        for _ in range(num_blocks):
            after = self._ways[-1]
            self._ways.append([a + b for a, b in zip(after[:-1], after[1:], strict=True)])
        self.size = self._ways[num_blocks][0]

    def __contains__(self, mask: Mask) -> bool:
        return self.low <= sum(mask) <= self.high

    def mask(self, index: int) -> Mask:
        """The mask at a position, from 0 to :attr:`size` - 1, of all in binary order."""
        bits: list[bool] = []
        for left in reversed(range(self.num_blocks)):
            without = self._ways[left][sum(bits)]
            bits.append(index >= without)
            index -= without * bits[-1]
        return tuple(bits)

    def draw(self, generator: np.random.Generator, probability: float = 0.5) -> np.ndarray:
        """(m,) bool: blocks connected independently, on the condition that the mask is here.

        Args:
            generator: Generator of the draws.
            probability: Probability that a block is connected, without the condition.
        """
        m = self.num_blocks
        if self.is_whole:
            return generator.random(m) < probability
        counts = np.arange(self.low, self.high + 1)
        log_odds = xlogy(counts, probability) + xlog1py(m - counts, -probability)
        log_odds -= betaln(m - counts + 1, counts + 1)  # the number of masks, but for a constant
        count = generator.choice(counts, p=softmax(log_odds))
        bits = np.zeros(m, dtype=bool)
        bits[generator.choice(m, count, replace=False)] = True
        return bits

    def unseen(
        self,
        generator: np.random.Generator,
        seen: Collection[Mask],
        probability: float = 0.5,
    ) -> Mask | None:
        """A random mask that was not seen yet.

        Seen masks are rejected and drawn again. Where that keeps failing, because few are left,
        all masks are gone through from a random one on. That takes at most one try more than there
        are seen masks.

        Args:
            generator: Generator of the draws.
            seen: Masks of this space not to return, as a set or a dict, which are fast to look up.
            probability: Probability that a block is connected.

        Returns:
            The mask; ``None`` if all were seen.
        """
        if len(seen) == self.size:
            return None
        for _ in range(_REJECTIONS):
            draw = self.draw(generator, probability)
            mask: Mask = tuple(draw.tolist())
            if mask not in seen:
                return mask
        return next(mask for mask in self._all_from(draw, generator) if mask not in seen)

    def _all_from(self, draw: np.ndarray, generator: np.random.Generator) -> Iterator[Mask]:
        """Yield every mask, from a random one on; each unseen mask may as well be the first."""
        if not self.is_whole:
            start = int(generator.random() * self.size)
            yield from (self.mask((start + step) % self.size) for step in range(self.size))
            return
        # The draw's bits are flipped as a counter would, the blocks in a random order.
        order = generator.permutation(self.num_blocks).tolist()
        for counter in range(self.size):
            bits = draw.copy()
            for bit, block in enumerate(order):
                bits[block] ^= bool(counter >> bit & 1)
            yield tuple(bits.tolist())

    def repaired(self, bits: np.ndarray, generator: np.random.Generator) -> np.ndarray:
        """(m,) bool: a copy with as few random bits changed as it takes to be in the space."""
        bits = bits.copy()
        count = int(bits.sum())
        missing = min(max(count, self.low), self.high) - count
        if missing:
            candidates = np.flatnonzero(bits != (missing > 0))
            bits[generator.choice(candidates, abs(missing), replace=False)] ^= True
        return bits

    def neighbours(self, mask: Mask) -> list[Mask]:
        """The masks of the space that differ in one bit, or else in one moved connection.

        Connections are moved only in a space that is not whole, where single flips leave it.
        """
        blocks = range(self.num_blocks)
        near = flipped(mask, blocks)
        if not self.is_whole:
            connected = [block for block in blocks if mask[block]]
            free = [block for block in blocks if not mask[block]]
            near += [other for block in connected for other in flipped(near[block], free)]
        return [other for other in near if other in self]

    def most_probable(self, probabilities: Sequence[float]) -> Mask:
        """The most probable mask of the space, of independent probabilities that blocks are
        connected."""
        likely = sum(p > 0.5 for p in probabilities)
        count = min(max(likely, self.low), self.high)
        order = sorted(range(self.num_blocks), key=lambda block: -probabilities[block])
        return tuple(block in order[:count] for block in range(self.num_blocks))
