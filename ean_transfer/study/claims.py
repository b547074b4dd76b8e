"""What a study claims before it runs, and what its seeds then say of each claim. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated, Any, ClassVar

import numpy as np
from pydantic import Discriminator, Field, Tag

from ean_transfer.io.checked import Checked, PositiveNumber
from ean_transfer.study.paired import (
    CHANCE,
    CONFIDENCE,
    MOST_SEEDS,
    Answer,
    Interval,
    Region,
    answers,
    are_equal,
    bca_interval,
    p_inside,
    p_outside,
    seeds_needed,
    t_interval,
)


class _Claim(Checked):
    """What both kinds of claims have.

    Attributes:
        task: The task's name; may be left out if the study has one task, or one with the metric.
        metric: Name of the test metric; the task's own by default.
        higher_is_better: Direction of the metric; may be left out where its name tells it.
    """

    what: ClassVar[str] = "a study's claim"

    task: str | None = None
    metric: str | None = None
    higher_is_better: bool | None = None

    def of(self, quality: str) -> str:
        """What the arms are compared by, and which way is good where the claim itself says so."""
        good = {None: "", True: ", of which more is better", False: ", of which less is better"}
        return f"in {quality}{good[self.higher_is_better]}"


class Better(_Claim):
    """The claim that one arm is better than another: ``dict(better="ticket", than="none")``.

    Attributes:
        better: Title of the arm that is better.
        than: Title of the other arm.
        margin: By how much more than this it is better, in the metric's unit.
    """

    better: str
    than: str
    margin: Annotated[float, Field(ge=0.0, allow_inf_nan=False)] = 0.0

    @property
    def arms(self) -> tuple[str, str]:
        """The arm that the claim speaks for, and the one it is compared with."""
        return self.better, self.than

    @property
    def region(self) -> Region:
        """Where the claim says that the mean advantage lies."""
        return Region(low=self.margin)

    def sentence(self, quality: str) -> str:
        """The claim in words.

        Args:
            quality: The metric's name in tables.
        """
        by = f" by more than {self.margin:g}" if self.margin else ""
        return f"{self.better} is better than {self.than}{by}, {self.of(quality)}"


class AsGoodAs(_Claim):
    """The claim that two arms differ by less than a margin, in either direction.

    ``dict(as_good_as="full", arm="ticket", margin=0.5)``.

    Attributes:
        as_good_as: Title of the other arm.
        arm: Title of the arm that is as good.
        margin: Smallest difference that would matter, in the metric's unit.
    """

    as_good_as: str
    arm: str
    margin: PositiveNumber

    @property
    def arms(self) -> tuple[str, str]:
        """The arm that the claim speaks for, and the one it is compared with."""
        return self.arm, self.as_good_as

    @property
    def region(self) -> Region:
        """Where the claim says that the mean advantage lies."""
        return Region(low=-self.margin, high=self.margin)

    def sentence(self, quality: str) -> str:
        """The claim in words.

        Args:
            quality: The metric's name in tables.
        """
        near = f"{self.arm} is as good as {self.as_good_as} within {self.margin:g}"
        return f"{near}, {self.of(quality)}"


def _kind(claim: Any) -> str:
    written = isinstance(claim, Mapping) and "as_good_as" in claim
    return "as_good_as" if written or isinstance(claim, AsGoodAs) else "better"


Claim = Annotated[
    Annotated[Better, Field(strict=False), Tag("better")]
    | Annotated[AsGoodAs, Field(strict=False), Tag("as_good_as")],
    Discriminator(_kind),
]
"""One entry of a study's ``claims``."""


@dataclass(frozen=True)
class Verdict:
    """What the seeds of a study say of one claim. Advantages are positive where its arm is better.

    Attributes:
        claim: The claim in words.
        answer: Whether it holds.
        reason: What the answer rests on, or what a decision lacks, in words.
        region: Where the claim says that the mean advantage lies; bounds may be infinite.
        advantages: Seed -> advantage with it, in the metric's unit.
        mean: Mean advantage.
        t: Student's interval of the mean, which decides; ``None`` if there is no spread.
        bca: The bootstrap's, for comparison.
        p_outside: p value of the tests that the claim must pass to hold.
        p_inside: p value of the tests that show it not to hold.
    """

    claim: str
    answer: Answer
    reason: str
    region: Region
    advantages: Mapping[int, float]
    mean: float
    t: Interval | None = None
    bca: Interval | None = None
    p_outside: float | None = None
    p_inside: float | None = None

    @property
    def text(self) -> str:
        """The answer with its reason: ``not decided: about 12 more seeds``."""
        return f"{self.answer}: {self.reason}"

    def to_dict(self) -> dict[str, Any]:
        """Everything as plain data, for JSON."""
        return asdict(self)


def judge(claim: Better | AsGoodAs, quality: str, advantages: Mapping[int, float]) -> Verdict:
    """Say what the seeds of a study show of a claim, and no more.

    Args:
        claim: The claim.
        quality: The metric's name in tables.
        advantages: Seed -> by how much the claim's arm is better than the other with that seed, in
            the metric's unit.
    """
    values = np.array(list(advantages.values()), dtype=float)
    sentence, region, mean = claim.sentence(quality), claim.region, float(values.mean())
    if reason := _nothing_to_test(advantages, values):
        return Verdict(sentence, "not decided", reason, region, advantages, mean)
    answer: Answer = answers(values, region).item()
    t = t_interval(values)
    if answer == "not decided":
        reason = _more_seeds(values, region)
    else:
        p = float((p_outside if answer == "holds" else p_inside)(values, region))
        reason = f"p {'< 0.001' if p < 0.001 else f'= {p:.3f}'} over {len(values)} seeds"
    return Verdict(
        claim=sentence,
        answer=answer,
        reason=reason,
        region=region,
        advantages=advantages,
        mean=mean,
        t=t,
        bca=bca_interval(values),
        p_outside=float(p_outside(values, region)),
        p_inside=float(p_inside(values, region)),
    )


def _nothing_to_test(advantages: Mapping[int, float], values: np.ndarray) -> str:
    failed = [str(seed) for seed, value in advantages.items() if not math.isfinite(value)]
    if failed:
        return f"a run with seed {', '.join(failed)} has no finite metric"
    if len(values) == 1:
        return "one seed tells nothing of chance; at least 2 more seeds"
    if are_equal(values):
        return (
            "the advantage is the same with every seed, which tells nothing of chance (equal "
            "networks, too few test images, or nothing learned)"
        )
    return ""


def _more_seeds(values: np.ndarray, region: Region) -> str:
    needed = seeds_needed(float(values.mean()), float(values.std(ddof=1)), region)
    if needed is None:
        return f"more than {MOST_SEEDS} seeds, if the advantage is what it seems"
    return f"about {needed - len(values)} more seeds, if the advantage is what it seems"


def claim_rows(verdicts: Sequence[Verdict]) -> list[list[str]]:
    """A table of verdicts with the figures that they rest on, headings first."""
    level = f"{CONFIDENCE:.0%} interval"
    rows = [
        ["claim", "verdict", "advantage by seed", "mean", f"{level}, t", f"{level}, BCa"]
        + ["p of holds", "p of does not hold"]
    ]
    for one in verdicts:
        cells = [one.claim, one.text, _by_seed(one), _text(one, one.mean)]
        cells += [_text(one, *(interval or ())) for interval in (one.t, one.bca)]
        cells += ["-" if p is None else f"{p:.3f}" for p in (one.p_outside, one.p_inside)]
        rows.append(cells)
    return rows


def figures(verdict: Verdict) -> str:
    """The figures that a verdict rests on, in one line."""
    text = f"Mean {_text(verdict, verdict.mean)}; by seed {_by_seed(verdict)}."
    if verdict.t is None or verdict.bca is None:
        return text
    t, bca = _text(verdict, *verdict.t), _text(verdict, *verdict.bca)
    return f"{text} {CONFIDENCE:.0%} interval {t} (t), {bca} (BCa)."


def _by_seed(verdict: Verdict) -> str:
    return ", ".join(_text(verdict, value) for value in verdict.advantages.values())


def _text(verdict: Verdict, *values: float) -> str:
    """A value or an interval, to a hundredth of the largest advantage; a dash for nothing."""
    largest = max(map(abs, filter(math.isfinite, verdict.advantages.values())), default=0.0)
    digits = 2 if largest == 0.0 else min(6, max(0, 2 - math.floor(math.log10(largest))))
    return " to ".join(f"{value:+.{digits}f}" for value in values) or "-"


def terms(verdicts: Sequence[Verdict]) -> str:
    """What the verdicts promise, as sentences to stand beneath them; without any, that they lack.

    Args:
        verdicts: The study's verdicts.
    """
    if not verdicts:
        return (
            "This study states no claims, so its tables decide nothing: what they show may be "
            "chance."
        )
    return (
        "An advantage is positive where the claim's first arm is better, seed by seed. "
        "Student's t decides, since the bootstrap (BCa) errs too often with few seeds. Each "
        f"verdict, by itself, is wrong in at most {CHANCE:.0%} of studies, if the number of seeds "
        "was chosen before the first look and the differences are roughly normal. Nothing else is "
        "claimed: other differences in the tables may be chance."
    )
