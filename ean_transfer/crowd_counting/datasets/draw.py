"""A random part of a data set's images, for protocols with repeated draws."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ean_transfer.errors import ConfigError


@dataclass(frozen=True)
class Draw:
    """``size`` images drawn without replacement out of the first ``pool``.

    With one seed, a smaller draw lies within a larger one, and a draw with ``rest`` is what the
    same draw without it leaves of the pool.

    Attributes:
        pool: The first this many images are drawn from; the others are never kept.
        size: Images drawn.
        seed: Of the draw; another for each repetition.
        rest: Keep the pool's other images instead, to validate on.
    """

    pool: int
    size: int
    seed: int = 0
    rest: bool = False

    def __post_init__(self) -> None:
        for name, lowest in (("pool", 1), ("size", 1), ("seed", 0)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
                raise ConfigError(
                    f"draw: expected {name} as a whole number from {lowest}, found {value!r}"
                )
        if self.seed >= 2**32:
            raise ConfigError(f"draw: expected a seed below 2**32, found {self.seed}")
        if not isinstance(self.rest, bool):
            raise ConfigError(f"draw: expected rest as True or False, found {self.rest!r}")
        if self.size > self.pool:
            raise ConfigError(
                f"draw: cannot take size={self.size} images out of pool={self.pool}; lower size"
            )
        if self.rest and self.size == self.pool:
            raise ConfigError(
                f"draw: size={self.size} takes the whole pool={self.pool} and leaves no rest; "
                "lower size"
            )

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Draw:
        """The draw of a config's ``draw=dict(pool=..., size=...)``.

        Raises:
            ConfigError: a key is missing or unknown, or the sizes do not fit together.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(config) - set(known)):
            raise ConfigError(f"draw: unknown {', '.join(unknown)}; it takes {', '.join(known)}")
        if missing := sorted({"pool", "size"} - set(config)):
            raise ConfigError(f"draw: {' and '.join(missing)} missing in {dict(config)}")
        return cls(**config)

    def indices(self, images: int) -> list[int]:
        """Positions of the images kept, ascending, in a data set of this many images.

        Raises:
            ConfigError: there are fewer images than the pool has.
        """
        if self.pool > images:
            raise ConfigError(
                f"draw: pool={self.pool} is more than the data set's {images} images; lower pool"
            )
        # RandomState and not default_rng: its stream is frozen (NEP 19), a draw outlives a NumPy.
        shuffled = np.random.RandomState(self.seed).permutation(self.pool)
        kept = shuffled[self.size :] if self.rest else shuffled[: self.size]
        return sorted(kept.tolist())
