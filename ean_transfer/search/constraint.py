"""Constraints on masks, such as ``latency <= 1.08 x plain``: reading, writing and checking them."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.table import COSTS, UNITS, CostTable
from ean_transfer.ticket.mask import sparsity

CONNECTIONS = "connections"
"""The number of blocks connected; like the sparsity, it needs no table."""
BUDGETS: tuple[str, ...] = (CONNECTIONS, *COSTS)
"""Quantities that a mask has whatever it scores."""
_UNITS: dict[str, str] = {str(cost): unit for cost, unit in UNITS.items()}
_EXAMPLE = (
    "write e.g. 'latency <= 1.08 x plain', 'latency <= 12 ms', 'connections = 4' or "
    "'accuracy >= full - 0.3'"
)
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONSTRAINT = re.compile(
    rf"""
    (?P<quantity>[A-Za-z]\w*) \s* (?P<op><=|>=|=) \s*
    (?: (?: (?P<factor>{_NUMBER}) \s* [x*] \s* )?
        (?P<reference>none|plain|full)
        (?: \s* (?P<sign>[+-]) \s* (?P<offset>{_NUMBER}) )?
      | (?P<number>[+-]?{_NUMBER}) (?: \s* (?P<unit>ms) )?
    )
    """,
    re.VERBOSE,
)


@dataclass(frozen=True)
class Constraint:
    """``quantity op limit``, where the limit is ``factor x reference + offset``.

    Quantities: ``loss`` (nats), the scorer's metric by its name (``accuracy``, in percent, for
    classification), ``connections`` (number of blocks connected), ``sparsity`` (share of blocks
    *not* connected), and the costs ``params``, ``macs`` and ``latency`` in their units.
    """

    quantity: str
    op: str  # "<=", ">=", or "=" for connections
    factor: float  # 0 without a reference
    reference: str | None  # "none" or "full"
    offset: float

    @classmethod
    def parse(cls, text: str, expected: str = "a constraint") -> Constraint:
        """Read ``<quantity> <op> <right side>``.

        The right side is a number, or ``[number x] none|plain|full [+|- number]``; ``plain`` is
        ``none`` and ``*`` is ``x``. A number of latency may have its unit, ``ms``. Whether there is
        such a quantity shows later: metrics have names of their own.

        Args:
            text: The text.
            expected: What the text may be, for the message.

        Raises:
            ConfigError: The text is no such constraint.
        """
        match = _CONSTRAINT.fullmatch(str(text).strip())
        if match is not None and _makes_sense(match):
            reference = "none" if match["reference"] == "plain" else match["reference"]
            if reference is None:
                factor, offset = 0.0, float(match["number"])
            else:
                factor = float(match["factor"] or 1.0)
                offset = float((match["sign"] or "") + (match["offset"] or "0"))
            if math.isfinite(factor) and math.isfinite(offset):  # not with exponents like 1e999
                return cls(match["quantity"], match["op"], factor, reference, offset)
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
        """The right side's value, from the quantity's values of the two references.

        Raises:
            ConfigError: It is a share of the plain network's, of which a mask adds to nothing.
        """
        if self.reference is None:
            return self.offset
        if self.is_budget and self.reference == "none" and none == 0.0 and self.offset == 0.0:
            raise ConfigError(
                f"no mask satisfies {self} but none: {self.quantity} counts what attention adds, "
                f"0 for plain; give a number, or a share of full ({self.quantity} <= 0.5 x full)"
            )
        return self.factor * (none if self.reference == "none" else full) + self.offset

    def excess(self, value: float, limit: float) -> float:
        """By how much a value breaks the limit; 0 within it and within a rounding error of it."""
        excess = value - limit if self.op == "<=" else limit - value
        if self.op == "=":
            excess = abs(excess)
        return 0.0 if excess <= 1e-9 * max(1.0, abs(limit)) else excess

    # -- budgets -----------------------------------------------------------------------------

    @property
    def is_budget(self) -> bool:
        """Whether it is about what a mask costs, and not about how good it is."""
        return self.quantity in BUDGETS

    def allowed_connections(self, num_blocks: int) -> list[int] | None:
        """The numbers of connections that satisfy a constraint on them; ``None`` for any other."""
        if self.quantity != CONNECTIONS:
            return None
        limit = self.limit(0.0, num_blocks)
        return [count for count in range(num_blocks + 1) if self.excess(count, limit) == 0.0]

    def require_possible(self, tables: Mapping[Any, CostTable], num_blocks: int) -> None:
        """Refuse a budget that no mask keeps, before any mask is scored.

        Args:
            tables: Cost tables by name; a budget on a cost without a table is not checked.
            num_blocks: Number of blocks.

        Raises:
            ConfigError: No mask satisfies the constraint.
        """
        if self.quantity in ("params", "macs"):
            self.limit(0.0, 1.0)  # refused by a plain network that has none, whatever a table says
        known = self.quantity in (CONNECTIONS, "sparsity", *tables)
        if not self.is_budget or not known:
            return
        # Costs only rise with connections, so of the others some mask satisfies it if one of these.
        masks = [[block < count for block in range(num_blocks)] for count in range(num_blocks + 1)]
        none, *_, full = (amount(self.quantity, mask, tables) for mask in masks)
        limit = self.limit(none, full)
        if all(self.excess(amount(self.quantity, mask, tables), limit) for mask in masks):
            raise ConfigError(
                f"no mask satisfies {self} (= {limit:.6g}): {self.quantity} is {none:.6g} without "
                f"attention, {full:.6g} with all"
            )


def amount(quantity: str, mask: Sequence[bool], tables: Mapping[Any, CostTable]) -> float:
    """What a mask has of one of the :data:`BUDGETS`, in its unit."""
    if quantity == CONNECTIONS:
        return float(sum(mask))
    if quantity == "sparsity":
        return sparsity(mask)
    return tables[quantity].of(mask)


def _makes_sense(match: re.Match[str]) -> bool:
    """Whether only connections are asked for exactly, and only latencies in milliseconds."""
    exact_is_possible = match["op"] != "=" or match["quantity"] == CONNECTIONS
    return exact_is_possible and (match["unit"] in (None, _UNITS.get(match["quantity"])))
