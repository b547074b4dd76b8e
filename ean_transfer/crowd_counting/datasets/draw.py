"""A random part of a data set's images, for protocols with repeated draws."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from pydantic import Field, model_validator

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked, Positive


class Draw(Checked):
    """``size`` images drawn without replacement out of the first ``pool``.

    With one seed, a smaller draw lies within a larger one, and a draw with ``rest`` is what the
    same draw without it leaves of the pool.

    Attributes:
        pool: Number of images to draw from, the data set's first; the others are never kept.
        size: Number of images drawn.
        seed: Seed of the draw; another for each repetition.
        rest: Keep the pool's other images instead, to validate on.
    """

    what = "draw"

    pool: Positive
    size: Positive
    seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
    rest: bool = False

    @model_validator(mode="after")
    def _keeps_some(self) -> Draw:
        if self.size + self.rest > self.pool:
            raise ValueError(
                f"size={self.size}: expected at most pool={self.pool}, and less with rest=True; "
                "lower size"
            )
        return self

    def indices(self, images: int) -> list[int]:
        """Positions of the images kept, ascending, in a data set of this many images.

        Raises:
            ConfigError: There are fewer images than the pool has.
        """
        if self.pool > images:
            raise ConfigError(
                f"draw: pool={self.pool} is more than the data set's {images} images; lower pool"
            )
        # RandomState and not default_rng: NumPy never changes its stream (NEP 19), so a published
        # draw stays the same with later versions.
        shuffled = np.random.RandomState(self.seed).permutation(self.pool)
        kept = shuffled[self.size :] if self.rest else shuffled[: self.size]
        return sorted(kept.tolist())
