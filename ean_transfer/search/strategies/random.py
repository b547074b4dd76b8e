"""Random search, and the draw of a mask that was not seen yet."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from ean_transfer.errors import ConfigError
from ean_transfer.registry import STRATEGIES
from ean_transfer.search.strategies.base import Strategy
from ean_transfer.ticket.mask import Mask, bits_of, mask_of

_REJECTIONS = 64


def unseen_mask(
    generator: np.random.Generator,
    num_blocks: int,
    seen: Collection[Mask],
    probability: float = 0.5,
) -> Mask | None:
    """A random mask that is not among the seen ones.

    Seen masks are rejected and drawn again. Where that keeps failing, because few are left, the
    last draw's bits are flipped, in a drawn order of the blocks, like those of a counter: at most
    one try more than there are seen masks, and without a preference among the unseen.

    Args:
        generator: Of the draws.
        num_blocks: Bits of the mask.
        seen: Masks not to return, each once; of constant look-up, so a set or a dict.
        probability: Of a block to be connected.

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
        blocks: Residual blocks a stage.
        seed: Seeds every draw.
        probability: Of a block to be connected, strictly between 0 and 1.
    """

    def __init__(self, blocks: Sequence[int], seed: int = 0, *, probability: float = 0.5) -> None:
        super().__init__(blocks, seed)
        if not 0.0 < probability < 1.0:
            raise ConfigError(
                f"RandomStrategy: probability lies strictly between 0 and 1, found {probability}"
            )
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
