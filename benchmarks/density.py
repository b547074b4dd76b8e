"""How long the density maps of a large crowd take to make."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from statistics import median

import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.density import density_map

IMAGE_SIZE = (4000, 6000)  # pixels; with this crowd, about the most that UCF-QNRF asks for
CROWD = 12_000


def crowds(
    image_size: tuple[int, int] = IMAGE_SIZE, count: int = CROWD
) -> dict[str, npt.NDArray[np.float64]]:
    """Points (N, 2) spread evenly, and ones that thin out from groups of all widths."""
    generator = np.random.default_rng(0)
    size = np.array(image_size[::-1])
    even = generator.uniform((0, 0), size, (count, 2))
    centres = generator.uniform((0, 0), size, (20, 2))
    widths = generator.uniform(0.001, 0.05, 20) * size.max()
    group = generator.integers(20, size=count)
    spread = generator.normal(size=(count, 2)) * widths[group, None]
    return {"even": even, "grouped": np.clip(centres[group] + spread, 0, size)}


def density_seconds(
    image_size: tuple[int, int] = IMAGE_SIZE, count: int = CROWD, repeats: int = 5
) -> dict[str, float]:
    """Seconds a map by crowd, stride and sigma, the median over the repeats."""
    return {
        f"{name} crowd, stride {stride}, sigma {sigma}": _seconds(
            partial(density_map, points, image_size, stride, sigma), repeats
        )
        for name, points in crowds(image_size, count).items()
        for stride in (8, 1)
        for sigma in (4.0, 15.0, "adaptive")
    }


def _seconds(run: Callable[[], object], repeats: int) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return median(times)
