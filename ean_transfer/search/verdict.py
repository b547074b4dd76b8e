"""What a finished search has shown, and what it has not: the ticket against none, full and others.

Errors are standard errors over the held-out images, of differences image by image.
"""

from __future__ import annotations

import math
from itertools import combinations
from typing import Literal

import numpy as np
from pydantic import ConfigDict
from scipy.stats import studentized_range

from ean_transfer.io.checked import Checked
from ean_transfer.io.records import JSONFile
from ean_transfer.io.tables import markdown
from ean_transfer.search.confirm import Confirmed
from ean_transfer.search.quality import decimals, qualities, values_of
from ean_transfer.search.worthwhile import CERTAIN, images_to_see
from ean_transfer.supernet.scoring import Difference, Metric
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask, bits_of

Name = Literal["ticket", "runner_up", "none", "full"]

_UNREALISTIC = 100  # times as many images as there are


class Gain(Checked):
    """By how much one mask is better than another; negative if it is worse."""

    value: float
    standard_error: float | None  # none for a score without a value per image

    @classmethod
    def of(cls, difference: Difference) -> Gain:
        """The gain of a difference that is positive where the first mask is better."""
        error = None if math.isnan(difference.error) else difference.error
        return cls(value=difference.value, standard_error=error)

    def exceeds(self, errors: float) -> bool:
        """Whether it is more than so many standard errors above 0."""
        return self.standard_error is not None and self.value > errors * self.standard_error

    def is_within(self, errors: float) -> bool:
        """Whether it is no more than so many standard errors above or below 0."""
        return self.standard_error is None or not abs(self.value) > errors * self.standard_error

    def text(self, quality: Metric) -> str:
        """``+0.31 ± 0.15``, in the quality's unit."""
        digits = decimals(quality) - 2
        error = "?" if self.standard_error is None else f"{self.standard_error:.{digits}f}"
        return f"{self.value:+.{digits}f} ± {error}"


class Standing(Checked):
    """One of the masks that matter, its values by name, and its gains over the others."""

    mask: str
    values: dict[str, float]
    over: dict[Name, dict[str, Gain]]  # by the other mask's name, then by the quality's


class Finalist(Checked):
    """A finalist, and by how much it is better than the ticket."""

    mask: str
    over_ticket: Gain


class Verdict(JSONFile):
    """The content of ``verdict.json``.

    Args:
        quality: Name of what masks are compared by: the scorer's metric or ``"loss"``.
        unit: Its unit.
        images: Number of held-out images.
        masks_scored: Number of masks that the finalists were chosen from.
        supernets: Number of supernets whose scores were averaged.
        masks: Ticket, runner-up (second of the finalists), none and full.
        finalists: All finalists, the best first.
        alike: Number of finalists, the ticket not counted, that are within two standard errors of
            the ticket.
        luck: Standard errors that the largest difference between ``masks_scored`` masks exceeds in
            one of twenty searches if all masks are equally good (Tukey's range test).
        summary: How many finalists cannot be told from the ticket, in one sentence.
        warnings: What the search has not shown, one sentence each.
        advice: What would help, one sentence each.
    """

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a loss may be infinite
    what = "verdict"

    format: Literal["ean-transfer/verdict"] = "ean-transfer/verdict"
    version: Literal[1] = 1
    quality: str
    unit: str
    images: int
    masks_scored: int
    supernets: int
    masks: dict[Name, Standing]
    finalists: tuple[Finalist, ...]
    alike: int
    luck: float
    summary: str
    warnings: tuple[str, ...]
    advice: tuple[str, ...]

    @classmethod
    def of(cls, final: Confirmed, masks_scored: int, supernets: int) -> Verdict:
        """The verdict on a search.

        Args:
            final: The finalists, with none and full among them.
            masks_scored: Number of distinct masks scored while searching.
            supernets: Number of supernets whose scores were averaged.
        """
        masks_scored = max(masks_scored, len(final.outcomes))
        judge = _Judge(final, masks_scored, supernets)
        return cls(
            quality=judge.quality.name,
            unit=judge.quality.unit,
            images=final.score.images,
            masks_scored=masks_scored,
            supernets=supernets,
            masks={name: judge.standing(name) for name in judge.named},
            finalists=tuple(
                Finalist(mask=bits_of(mask), over_ticket=judge.gain(mask, final.chosen))
                for mask in final.ranked
            ),
            alike=len(judge.alike),
            luck=judge.luck,
            summary=judge.summary(),
            warnings=tuple(judge.warnings()),
            advice=tuple(judge.advice()),
        )

    def table(self, network: Ticket, metric: Metric) -> str:
        """Ticket, runner-up, none and full as a table in Markdown.

        Args:
            network: Ticket of the supernet, which tells the stages.
            metric: The scorer's metric.
        """
        kinds = qualities(metric)
        quality = kinds[self.quality]
        others = [name for name in self.masks if name != "ticket"]
        headings = ["", "mask", "connections"] + [f"{n} ({q.unit})" for n, q in kinds.items()]
        rows = [headings + [f"better than {_spoken(name)} by ({self.unit})" for name in others]]
        for name, one in self.masks.items():
            mask = network.with_mask([bit == "1" for bit in one.mask])
            values = [f"{one.values[n]:.{decimals(q) - 2}f}" for n, q in kinds.items()]
            gains = [
                one.over[other][self.quality].text(quality) if other in one.over else ""
                for other in others
            ]
            rows.append([_spoken(name), str(mask), str(mask.connected), *values, *gains])
        return markdown(rows)

    @property
    def text(self) -> str:
        """Summary, warnings and advice, a line each."""
        warnings = (f"WARNING: {warning}" for warning in self.warnings)
        advice = (f"what would help: {advice}" for advice in self.advice)
        return "\n".join((self.summary, *warnings, *advice))


def _spoken(name: Name) -> str:
    return name.replace("_", "-")


class _Judge:
    """Compares the finalists of one search."""

    def __init__(self, final: Confirmed, masks_scored: int, supernets: int) -> None:
        self.final = final
        self.masks_scored = masks_scored
        self.supernets = supernets
        self.quality = final.reward.axis
        blocks = len(final.chosen)
        self.none, self.full = (False,) * blocks, (True,) * blocks
        self.ticket, self.runner_up = final.ranked[:2]
        self.named: dict[Name, Mask] = {
            "ticket": self.ticket,
            "runner_up": self.runner_up,
            "none": self.none,
            "full": self.full,
        }
        self.luck = float(studentized_range.isf(0.05, masks_scored, np.inf) / math.sqrt(2.0))
        self.alike = [
            mask for mask in final.ranked[1:] if self.gain(mask, self.ticket).is_within(CERTAIN)
        ]

    def gain(self, first: Mask, second: Mask) -> Gain:
        """By how much the first mask is better than the second, in what masks are compared by."""
        return Gain.of(self.final.gain(first, second, self.quality))

    def standing(self, name: Name) -> Standing:
        mask, metric = self.named[name], self.final.reward.metric
        return Standing(
            mask=bits_of(mask),
            values=values_of(self.final.outcomes[mask].score, metric),
            over={
                other: {
                    kind: Gain.of(self.final.gain(mask, self.named[other], quality))
                    for kind, quality in qualities(metric).items()
                }
                for other in self.named
                if other != name
            },
        )

    @property
    def best(self) -> Mask:
        """The finalist of the best quality, whatever it costs, that is not none."""
        others = [mask for mask in self.final.ranked if mask != self.none]
        return max(others, key=lambda mask: self.gain(mask, self.none).value)

    @property
    def beats_none(self) -> bool:
        """Whether a finalist is better than none by more than luck explains."""
        others = (mask for mask in self.final.ranked if mask != self.none)
        return any(self.gain(mask, self.none).exceeds(self.luck) for mask in others)

    @property
    def is_flat(self) -> bool:
        """Whether no finalist is better than another by more than luck explains."""
        pairs = combinations(self.final.ranked, 2)
        return all(self.gain(first, second).is_within(self.luck) for first, second in pairs)

    def summary(self) -> str:
        return (
            f"on {self.final.score.images} images, {len(self.alike)} of the "
            f"{len(self.final.outcomes) - 1} other finalists cannot be told from the ticket by "
            f"their {self.quality.name} (within {CERTAIN:g} standard errors)"
        )

    def warnings(self) -> list[str]:
        over_none = self.gain(self.best, self.none)
        if over_none.standard_error is None:
            return [
                "nothing can be said about noise: the score is one number per mask; let it return "
                "one value per image"
            ]
        unit = self.quality.unit
        warnings = {
            "the ticket is empty: by this search, leave attention out": not any(self.ticket),
            f"no finalist is surely better than none: the best has {over_none.text(self.quality)} "
            f"{unit}, and of {self.masks_scored} masks that are all alike the best would have up "
            f"to {self.luck:.1f} standard errors by luck": not self.beats_none,
            "the finalists, none and full differ by no more than noise: which of them is the "
            "ticket is luck": self.is_flat,
        }
        return [text for text, applies in warnings.items() if applies]

    def advice(self) -> list[str]:
        advice = []
        if self.runner_up in self.alike:
            advice.append(self._images("the runner-up", self.gain(self.ticket, self.runner_up)))
        over_none = self.gain(self.best, self.none)
        if not self.beats_none and over_none.value > 0.0:
            advice.append(self._images("none", over_none, "the best finalist"))
        if self.supernets == 1 and (self.alike or self.is_flat):
            advice.append(
                "supernets: the errors are those of images alone, and another supernet may rank "
                "the masks otherwise; average three (supernets=3)"
            )
        if self.is_flat:
            advice.append(
                "training: train the supernet for longer, on a pretrained network with a learning "
                "rate of its own for the new attention (ten times the body's), and never with "
                "branches that start at zero (zero_init_residual)"
            )
        return advice

    def _images(self, other: str, difference: Gain, first: str = "the ticket") -> str:
        """How many images would tell two masks apart, if they differ as much as they seem to."""
        images = self.final.score.images
        error = math.nan if difference.standard_error is None else difference.standard_error
        needed = images_to_see(abs(difference.value), images, error)
        if math.isnan(needed):
            return "images: a score with one value per image would tell how many are needed"
        if needed > _UNREALISTIC * images:
            return (
                f"images: {first} and {other} are as good as equal, more images will not part "
                "them; take the one that costs less"
            )
        return (
            f"images: about {needed:.0f} would tell {first} from {other}, if they differ by "
            f"{abs(difference.value):.2g} {self.quality.unit} as they seem to (now {images})"
        )
