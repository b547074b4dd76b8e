"""Is there anything to find? The plain network against full attention, before a search."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from torch import nn

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.search.quality import gain
from ean_transfer.supernet.scoring import LOSS, Metric, Outcome

CERTAIN = 2.0
"""Standard errors from which on a difference is called one, with about 5 % false alarms."""
_SILENT = 0.05  # largest scale of a branch that hardly says anything; a trained one is about 1
_MARGIN = 0.8  # standard errors above a bound, where four of five samples are beyond it


def images_to_see(size: float, images: int, error: float, bound: float = CERTAIN) -> float:
    """Number of images on which a difference would be seen, in four of five samples of images.

    A standard error falls with the square root of the number of images.

    Args:
        size: The true difference, in any unit.
        images: Number of images that the standard error belongs to.
        error: Standard error of the difference on them, in the same unit.
        bound: Standard errors from which on the difference is called one.

    Returns:
        A whole number, infinite if there is no difference; NaN if the error is not known.
    """
    if size == 0.0 and not math.isnan(error):
        return math.inf
    errors = bound + _MARGIN
    needed = images * (errors * error / size) ** 2 if not math.isnan(error) else math.nan
    return float(max(2, math.ceil(needed))) if math.isfinite(needed) else needed


@dataclass(frozen=True)
class Worthwhile:
    """Whether attention is worth searching for, by the two ends of a supernet.

    Attributes:
        quality: What the ends were compared by.
        size: Smallest advantage that matters to the user, in the quality's unit.
        gain: How much better full is than none; negative if it is worse.
        error: Standard error of the gain over images, paired; NaN for a score without a value per
            image.
        images: Number of images.
        images_needed: Number of images on which an advantage of ``size`` would be seen.
    """

    quality: Metric
    size: float
    gain: float
    error: float
    images: int
    images_needed: float

    @property
    def answer(self) -> Literal["no", "yes", "cannot be told yet"]:
        """``"no"`` if the advantage is surely below ``size``, ``"yes"`` if there surely is one."""
        margin = CERTAIN * self.error
        if self.gain + margin < self.size:
            return "no"
        return "yes" if self.gain - margin > 0.0 else "cannot be told yet"

    def __str__(self) -> str:
        """The answer in plain English, on one line."""
        if math.isnan(self.error):
            return (
                f"{self.answer}: the score is one number per mask; a standard error takes one "
                "value per image"
            )
        unit, direction = self.quality.unit, "better" if self.gain >= 0.0 else "worse"
        lines = {
            "no": f"leave attention out, an advantage of {self.size:g} {unit} is ruled out",
            "yes": "attention helps",
            "cannot be told yet": (
                f"to see an advantage of {self.size:g} {unit} takes about "
                f"{self.images_needed:.0f} images"
            ),
        }
        return (
            f"{self.answer}: {lines[self.answer]}. With every connection the {self.quality.name} "
            f"is {abs(self.gain):.3g} +- {self.error:.2g} {unit} {direction} than with none, on "
            f"{self.images} images"
        )


def worthwhile(none: Outcome, full: Outcome, size: float, quality: Metric = LOSS) -> Worthwhile:
    """Compare the two ends of a supernet, image by image.

    None and full are not all masks: one between them may be better than both. But where attention
    everywhere brings less than ``size``, scores of parts of it have little to tell.

    Args:
        none: Outcome of the mask without any connection.
        full: Outcome of the mask with all.
        size: Smallest advantage that matters, above 0, in the quality's unit.
        quality: What to compare by: the scorer's metric, or the loss.
    """
    difference, images = gain(full, none, quality), full.score.images
    return Worthwhile(
        quality=quality,
        size=size,
        gain=difference.value,
        error=difference.error,
        images=images,
        images_needed=images_to_see(size, images, difference.error),
    )


def silent_places(network: MaskableNetwork) -> list[int]:
    """The places whose branch adds next to nothing, so that its attention cannot matter.

    A residual branch that starts at zero (``zero_init_residual``, ``zero_init_last``, the layer
    scales of ConvNeXt) is silent until it is trained: the scale of one of its layers, a parameter
    of one number per channel or of one in all, is near 0.

    Returns:
        Indices of the places, in forward order.
    """
    return [i for i, place in enumerate(network.places) if _smallest_scale(place) < _SILENT]


def _smallest_scale(place: nn.Module) -> float:
    """The smallest of the layers' scales, each by its largest channel; attention's do not count."""
    return min(
        (
            float(scale.detach().abs().max())
            for name, scale in place.named_parameters()
            if scale.numel() in (1, *scale.shape[:1])
            and not {"attention", "bias"} & {*name.split(".")}
        ),
        default=math.inf,
    )
