"""How often a study's verdicts are wrong, on simulated studies: by Student's t, and by BCa.

python -m benchmarks.verdicts

Prints the tables of docs/studies.md, in about a minute.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

from ean_transfer.io.tables import markdown
from ean_transfer.study.paired import CONFIDENCE, Region, answers, seeds_needed

STUDIES = 2_000
SEEDS = (2, 3, 6, 10, 20, 40)
LOOKS = (1, 2, 10)
_BETTER = Region(low=0.0)

Draw = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
KINDS: dict[str, Draw] = {
    "normal": lambda generator, shape: generator.normal(size=shape),
    "heavy tails (t of 4 degrees)": lambda generator, shape: generator.standard_t(4, size=shape),
    "one run in ten is 5 spreads worse": lambda generator, shape: (
        generator.normal(size=shape) - 5.0 * (generator.random(shape) < 0.1) + 0.5
    ),
}
"""Kind of differences -> function that draws them, with a true mean of 0."""


def errors(draw: Draw, seeds: int) -> tuple[float, float]:
    """Percent of studies whose interval lies above a true mean of 0, by Student's t and by BCa."""
    generator = np.random.default_rng(seeds)
    differences = draw(generator, (STUDIES, seeds))
    t = stats.ttest_1samp(differences, 0.0, axis=-1).confidence_interval(CONFIDENCE)
    bca = stats.bootstrap(
        (differences,),
        np.mean,
        axis=-1,
        confidence_level=CONFIDENCE,
        n_resamples=999,
        batch=50,
        random_state=generator,
    ).confidence_interval
    return 100.0 * float(np.mean(t.low > 0.0)), 100.0 * float(np.mean(bca.low > 0.0))


def errors_of_looks(first: int, looks: int, most: int = 60) -> float:
    """Percent of studies that say "holds" of a claim on its bound, with seeds added as advised.

    Args:
        first: Number of seeds at the first look.
        looks: Number of looks.
        most: Number of seeds that no study exceeds.
    """
    generator = np.random.default_rng(first)
    wrong = 0
    for differences in generator.normal(size=(STUDIES, most)):
        seeds = first
        for _ in range(looks):
            seen = differences[:seeds]
            answer = answers(seen, _BETTER).item()
            wrong += answer == "holds"
            if answer != "not decided" or seeds == most:
                break
            needed = seeds_needed(float(seen.mean()), float(seen.std(ddof=1)), _BETTER)
            seeds = min(needed or most, most)
    return 100.0 * wrong / STUDIES


def main() -> None:
    """Print both tables."""
    rows = [["differences", "by", *(f"{seeds} seeds" for seeds in SEEDS)]]
    for kind, draw in KINDS.items():
        of_both = [errors(draw, seeds) for seeds in SEEDS]
        for index, method in enumerate(("t", "BCa")):
            rows.append([kind, method, *(f"{one[index]:.0f}" for one in of_both)])
    print(markdown(rows))
    rows = [
        ["seeds at the first look", *("1 look" if n == 1 else f"up to {n} looks" for n in LOOKS)]
    ]
    for first in (3, 6):
        wrong = [f"{errors_of_looks(first, looks):.0f}" for looks in LOOKS]
        rows.append([str(first), *wrong])
    print(markdown(rows))


if __name__ == "__main__":
    main()
