"""Compares the masks of a finished search: what is surely better, what is luck, what would help."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
from scipy.stats import studentized_range

from ean_transfer.search.confirm import Confirmed
from ean_transfer.search.quality import qualities, values_of
from ean_transfer.search.standing import Gain, Name, Standing
from ean_transfer.search.worthwhile import CERTAIN, images_to_see
from ean_transfer.ticket.mask import Mask, bits_of

_UNREALISTIC = 100  # times as many images as there are


class Judge:
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

    def standing(self, mask: Mask, own: Name | None = None) -> Standing:
        """A mask's values, and its gains over those named but the one of its own name."""
        metric = self.final.reward.metric
        return Standing(
            mask=bits_of(mask),
            feasible=self.final.rank(mask).feasible,
            values=values_of(self.final.outcome(mask).score, metric),
            over={
                other: {
                    kind: Gain.of(self.final.gain(mask, compared, quality))
                    for kind, quality in qualities(metric).items()
                }
                for other, compared in self.named.items()
                if other != own
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
        """Whether, by known errors, no finalist is better than another by more than luck."""
        gains = [self.gain(*pair) for pair in combinations(self.final.ranked, 2)]
        return all(gain.standard_error is not None and gain.is_within(self.luck) for gain in gains)

    def summary(self) -> str:
        text = (
            f"on {self.final.score.images} images, {len(self.alike)} of the "
            f"{len(self.final.outcomes) - 1} other finalists cannot be told from the ticket by "
            f"their {self.quality.name} (within {CERTAIN:g} standard errors)"
        )
        baselines = self.final.baselines.values()
        beaten = sum(self.gain(self.ticket, mask).exceeds(self.luck) for mask in baselines)
        if not baselines:
            return text
        return f"{text}; it is surely better than {beaten} of {len(baselines)} baselines"

    @property
    def best_baseline(self) -> tuple[str, Mask] | None:
        """Name and mask of the best baseline by the reward, if it beats the ticket."""
        ranks = {name: self.final.rank(mask) for name, mask in self.final.baselines.items()}
        name = max(ranks, key=ranks.__getitem__, default=None)
        if name is None or ranks[name] <= self.final.rank(self.ticket):
            return None
        return name, self.final.baselines[name]

    def warnings(self) -> list[str]:
        over_none, unit = self.gain(self.best, self.none), self.quality.unit
        warnings = []
        if self.best_baseline is not None:
            name, mask = self.best_baseline
            gain = self.gain(mask, self.ticket).text(self.quality)
            warnings.append(
                f"the baseline {name!r}, {bits_of(mask)}, beats the ticket ({gain} {unit}) and was "
                "no finalist: take it, or search with more steps or finalists (confirm)"
            )
        if over_none.standard_error is None:
            return [
                *warnings,
                "nothing can be said about noise: the score is one number per mask; let it return "
                "one value per image",
            ]
        others = {
            "the ticket is empty: by this search, leave attention out": not any(self.ticket),
            f"no finalist is surely better than none: the best has {over_none.text(self.quality)} "
            f"{unit}, and of {self.masks_scored} masks that are all alike the best would have up "
            f"to {self.luck:.1f} standard errors by luck": not self.beats_none,
            "the finalists, none and full differ by no more than noise: which of them is the "
            "ticket is luck": self.is_flat,
        }
        return warnings + [text for text, applies in others.items() if applies]

    def advice(self) -> list[str]:
        advice = []
        if self.runner_up in self.alike:
            over_runner_up = self.gain(self.ticket, self.runner_up)
            advice.append(self._images("the ticket", "the runner-up", over_runner_up, CERTAIN))
        over_none = self.gain(self.best, self.none)
        if not self.beats_none and over_none.value > 0.0:
            advice.append(self._images("the best finalist", "none", over_none, self.luck))
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

    def _images(self, first: str, other: str, difference: Gain, bound: float) -> str:
        """How many images would tell two masks apart, if they differ as much as they seem to.

        Args:
            first: Name of the first mask.
            other: Name of the other mask.
            difference: Difference between them.
            bound: Standard errors from which on they are told apart.
        """
        images = self.final.score.images
        error = math.nan if difference.standard_error is None else difference.standard_error
        needed = images_to_see(abs(difference.value), images, error, bound)
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
