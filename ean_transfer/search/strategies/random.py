"""Random search, and the draw of a mask that was not seen yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from ean_transfer.io.checked import checked_arguments
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_REJECTIONS = 64  # draws before the unseen masks are taken to be rare


def unseen_mask(
    generator: np.random.Generator,
    num_blocks: int,
    seen: Collection[Mask],
    probability: float = 0.5,
) -> Mask | None:
    """A random mask that was not seen yet.

    Seen masks are rejected and drawn again. Where that keeps failing, because few are left, the
    last draw is changed step by step: its bits are flipped as a counter would, the blocks in a
    random order. That takes at most one try more than there are seen masks, and prefers none of
    the unseen.

    Args:
        generator: Generator of the draws.
        num_blocks: Number of bits of the mask.
        seen: Masks not to return, as a set or a dict, which are fast to look up.
        probability: Probability that a block is connected.

    Returns:
        The mask; ``None`` if all were seen.
    """
    if len(seen) == 2**num_blocks:
        return None
    for _ in range(_REJECTIONS):
        draw = generator.random(num_blocks) < probability
        mask: Mask = tuple(draw.tolist())
        if mask not in seen:
            return mask
    order = generator.permutation(num_blocks).tolist()
    counter = 0
    while mask in seen:
        counter += 1
        flipped = draw.copy()
        for bit, block in enumerate(order):
            flipped[block] ^= bool(counter >> bit & 1)
        mask = tuple(flipped.tolist())
    return mask


@STRATEGIES.register_module()
class RandomStrategy(Strategy):
    """Independent random masks, none of them twice, until all were asked.

    The reference any other strategy has to beat ("Random Search and Reproducibility for NAS",
    arXiv 1902.07638).

    Args:
        blocks: Number of residual blocks in each stage.
        seed: Seed of every draw.
        probability: Probability that a block is connected, strictly between 0 and 1.
    """

    @checked_arguments
    def __init__(
        self,
        blocks: Sequence[int],
        seed: int = 0,
        *,
        probability: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.5,
    ) -> None:
        super().__init__(blocks, seed)
        self.probability = probability
        self.generator = np.random.default_rng(seed)
        self.seen: set[Mask] = set()

    def ask(self, count: int) -> list[Mask]:
        masks: list[Mask] = []
        for _ in range(count):
            mask = unseen_mask(self.generator, self.num_blocks, self.seen, self.probability)
            if mask is None:
                break
            masks.append(mask)
            self.seen.add(mask)
        return masks

    def tell(self, masks: Sequence[Mask], rewards: Sequence[float]) -> None:
        self.seen.update(masks)

    def state_dict(self) -> dict[str, Any]:
        return {
            "generator": self.generator.bit_generator.state,
            "seen": sorted(bits_of(mask) for mask in self.seen),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.generator.bit_generator.state = state["generator"]
        self.seen = {mask_of(bits) for bits in state["seen"]}
