"""Constraints on masks, such as ``latency <= 1.08 x plain``: reading, writing and checking them."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Literal, cast, get_args

from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.table import COSTS, Cost

Quality = Literal["accuracy", "loss"]
QUALITIES: tuple[Quality, ...] = get_args(Quality)
_EXAMPLE = "write e.g. 'latency <= 1.08 x plain', 'accuracy >= full - 0.3' or 'sparsity >= 0.5'"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONSTRAINT = re.compile(
    rf"""
    (?P<quantity>{"|".join((*QUALITIES, *COSTS))}) \s* (?P<op><=|>=) \s*
    (?: (?: (?P<factor>{_NUMBER}) \s* [x*] \s* )?
        (?P<reference>none|plain|full)
        (?: \s* (?P<sign>[+-]) \s* (?P<offset>{_NUMBER}) )?
      | (?P<number>[+-]?{_NUMBER})
    )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Constraint:
    """``quantity op limit``, where the limit is ``factor x reference + offset``.

    Quantities: ``accuracy`` (percent), ``loss`` (nats), ``sparsity`` (share of blocks *not*
    connected), and the costs ``params``, ``macs`` and ``latency`` in their units.
    """

    quantity: Quality | Cost
    op: str  # "<=" or ">="
    factor: float  # 0 without a reference
    reference: str | None  # "none" or "full"
    offset: float

    @classmethod
    def parse(cls, text: str, expected: str = "a constraint") -> Constraint:
        """Read ``<quantity> <op> <right side>``.

        The right side is a number, or ``[number x] none|plain|full [+|- number]``; ``plain`` is
        ``none`` and ``*`` is ``x``.

        Args:
            text: The text.
            expected: What the text may be, for the message.

        Raises:
            ConfigError: The text is no such constraint.
        """
        match = _CONSTRAINT.fullmatch(str(text).strip())
        if match is not None:
            reference = "none" if match["reference"] == "plain" else match["reference"]
            if reference is None:
                factor, offset = 0.0, float(match["number"])
            else:
                factor = float(match["factor"] or 1.0)
                offset = float((match["sign"] or "") + (match["offset"] or "0"))
            if math.isfinite(factor) and math.isfinite(offset):  # not with exponents like 1e999
                quantity = cast(Quality | Cost, match["quantity"])
                return cls(quantity, match["op"], factor, reference, offset)
        raise ConfigError(f"expected {expected}, found {text!r}: {_EXAMPLE}")

    def __str__(self) -> str:
        """The constraint as :meth:`parse` reads it."""
        left = f"{self.quantity} {self.op} "
        if self.reference is None:
            return f"{left}{self.offset!r}"
        factor = "" if self.factor == 1.0 else f"{self.factor!r} x "
        sign = "+" if self.offset > 0 else "-"
        offset = "" if self.offset == 0.0 else f" {sign} {abs(self.offset)!r}"
        return f"{left}{factor}{'plain' if self.reference == 'none' else 'full'}{offset}"

    def limit(self, none: float, full: float) -> float:
        """The right side's value, from the quantity's values of the two references."""
        if self.reference is None:
            return self.offset
        return self.factor * (none if self.reference == "none" else full) + self.offset

    def excess(self, value: float, limit: float) -> float:
        """By how much a value breaks the limit; 0 within it and within a rounding error of it."""
        excess = value - limit if self.op == "<=" else limit - value
        return 0.0 if excess <= 1e-9 * max(1.0, abs(limit)) else excess
