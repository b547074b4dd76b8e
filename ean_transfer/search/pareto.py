"""The Pareto front of quality over cost, and the rules that pick a mask from it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import ConfigDict

from ean_transfer.errors import ConfigError
from ean_transfer.io.records import JSONFile
from ean_transfer.search.constraint import QUALITIES, Constraint, Quality
from ean_transfer.search.cost.table import UNITS, Cost
from ean_transfer.ticket.mask import mask_of, sparsity


@dataclass(frozen=True)
class Point:
    """A scored mask."""

    mask: str  # bits of all stages, joined
    accuracy: float  # percent
    loss: float  # nats
    cost: float  # in the unit of its table

    @property
    def sparsity(self) -> float:
        """Share of the blocks without attention."""
        return sparsity(mask_of(self.mask))

    def worth(self, quality: Quality) -> float:
        """The accuracy, or minus the loss: higher is better."""
        if quality == "accuracy":
            return self.accuracy
        return -self.loss if math.isfinite(self.loss) else -math.inf


def front(points: Iterable[Point], quality: Quality = "accuracy") -> list[Point]:
    """The points that no other dominates, cheapest first.

    A point dominates another if it is no worse in quality and in cost, and better in one of the
    two. Of points equal in both the first is kept. So quality and cost both rise along the front.
    """
    best: list[Point] = []
    # The sort is stable, so the first of equal points comes first.
    for point in sorted(points, key=lambda p: (p.cost, -p.worth(quality))):
        if not best or point.worth(quality) > best[-1].worth(quality):
            best.append(point)
    return best


def pick(
    points: Sequence[Point],
    rule: str,
    *,
    cost: str,
    none: Point,
    full: Point,
    quality: Quality = "accuracy",
) -> Point:
    """Choose from a front.

    Args:
        points: Points of the front, as :func:`front` returns them.
        rule: ``"best"`` picks the best quality. ``"knee"`` picks the point farthest above the line
            between the front's ends, both axes scaled to [0, 1]; of several the cheapest. A
            constraint (:meth:`~ean_transfer.search.constraint.Constraint.parse`) on accuracy or
            loss, such as ``"accuracy >= full - 0.3"``, picks the cheapest that satisfies it; one on
            the cost or the sparsity, such as ``"latency <= 1.05 x plain"``, the best.
        cost: Name of the points' cost.
        none: Point of the plain network, which need not lie on the front.
        full: Point of the network with every connection.
        quality: Quality of the front.

    Raises:
        ConfigError: The rule cannot be read, is about another cost, or no point satisfies it.
    """
    if rule == "best":
        return max(points, key=lambda p: p.worth(quality))
    if rule == "knee":
        return _knee(points, quality)
    constraint = Constraint.parse(rule, "'best', 'knee' or a constraint")
    name = constraint.quantity
    known = list(dict.fromkeys((*QUALITIES, "sparsity", cost)))  # the cost may be the sparsity
    if name not in known:
        raise ConfigError(f"{rule!r}: the front knows {', '.join(known[:-1])} and {known[-1]}")

    def value(point: Point) -> float:
        return getattr(point, name if name in (*QUALITIES, "sparsity") else "cost")

    limit = constraint.limit(value(none), value(full))
    satisfying = [p for p in points if constraint.excess(value(p), limit) == 0.0]
    if not satisfying:
        closest = min(points, key=lambda p: constraint.excess(value(p), limit))
        raise ConfigError(
            f"no mask of the front has {rule} (= {limit:.6g}): the closest has {value(closest):.6g}"
        )
    if name in QUALITIES:
        return min(satisfying, key=lambda p: p.cost)
    return max(satisfying, key=lambda p: p.worth(quality))


def _knee(points: Sequence[Point], quality: Quality) -> Point:
    first, last = points[0], points[-1]
    width = last.cost - first.cost or 1.0
    lowest = first.worth(quality)
    height = last.worth(quality) - lowest or 1.0
    # The distance from the chord is this over the square root of 2.
    return max(
        points, key=lambda p: (p.worth(quality) - lowest) / height - (p.cost - first.cost) / width
    )


class Pareto(JSONFile):
    """The content of ``pareto.json``: a front, what its cost is, and the two references."""

    # A mask's loss may be infinite or not a number, which pydantic would write as null.
    model_config = ConfigDict(ser_json_inf_nan="constants")
    what = "Pareto front"

    format: Literal["ean-transfer/pareto"] = "ean-transfer/pareto"
    version: Literal[1] = 1
    cost: Cost
    unit: str
    quality: Quality = "accuracy"
    none: Point
    full: Point
    points: tuple[Point, ...]

    @classmethod
    def of(
        cls,
        points: Iterable[Point],
        *,
        cost: Cost,
        none: Point,
        full: Point,
        quality: Quality = "accuracy",
    ) -> Pareto:
        """The front of scored masks and the two references."""
        best = front([*points, none, full], quality)
        return cls(
            cost=cost,
            unit=UNITS[cost],
            quality=quality,
            none=none,
            full=full,
            points=tuple(best),
        )

    def pick(self, rule: str) -> Point:
        """Pick from the front by a rule, see :func:`pick`."""
        return pick(
            self.points,
            rule,
            cost=self.cost,
            none=self.none,
            full=self.full,
            quality=self.quality,
        )
