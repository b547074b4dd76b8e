"""How masks stand to each other at a search's end: values, and gains with their standard errors."""

from __future__ import annotations

import math
from typing import Literal

from pydantic import ConfigDict

from ean_transfer.io.checked import Checked
from ean_transfer.supernet.scoring import Difference, Metric

Name = Literal["ticket", "runner_up", "none", "full"]
"""The masks that others are compared with."""


class Gain(Checked):
    """By how much one mask is better than another; negative if it is worse."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # a loss may be infinite

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
        if self.standard_error is None:
            return math.isfinite(self.value)
        return not abs(self.value) > errors * self.standard_error

    def text(self, quality: Metric) -> str:
        """``+0.31 ± 0.15``, in the quality's unit."""
        digits = quality.decimals - 2
        error = "?" if self.standard_error is None else f"{self.standard_error:.{digits}f}"
        return f"{self.value:+.{digits}f} ± {error}"


class Standing(Checked):
    """One of the masks that matter, its values by name, and its gains over the others."""

    model_config = ConfigDict(ser_json_inf_nan="constants")  # as of a gain

    mask: str
    feasible: bool = True  # whether it satisfies the constraint
    values: dict[str, float]
    over: dict[Name, dict[str, Gain]]  # by the other mask's name, then by the quality's


class Finalist(Checked):
    """A finalist, and by how much it is better than the ticket."""

    mask: str
    over_ticket: Gain
