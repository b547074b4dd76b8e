"""The Pareto front of quality over cost, and the rules that pick a mask from it."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import ConfigDict
from typing_extensions import Self

from ean_transfer.errors import ConfigError
from ean_transfer.io.records import JSONFile
from ean_transfer.search.constraint import CONNECTIONS, Constraint
from ean_transfer.search.cost.table import UNITS, Cost
from ean_transfer.supernet.scoring import ACCURACY, LOSS, Metric
from ean_transfer.ticket.mask import mask_of, sparsity


@dataclass(frozen=True)
class Point:
    """A scored mask.

    Attributes:
        mask: Bits of all stages, joined.
        values: The scorer's metric and the loss, by name.
        costs: Costs that were measured, by name, in the units of their tables.
    """

    mask: str
    values: dict[str, float]
    costs: dict[str, float]

    def worth(self, quality: Metric) -> float:
        """The quality's value, with a sign so that higher is better."""
        value = self.values[quality.name]
        if math.isnan(value):
            return -math.inf
        return value if quality.higher_is_better else -value

    def cost(self, name: str) -> float:
        """A cost; that of sparsity is the share of blocks connected, and always known."""
        return self.mask.count("1") / len(self.mask) if name == "sparsity" else self.costs[name]

    def amount(self, quantity: str) -> float:
        """The value of any quantity that a constraint may name."""
        counted = {
            CONNECTIONS: float(self.mask.count("1")),
            "sparsity": sparsity(mask_of(self.mask)),
        }
        # Last, since the costs of a search about sparsity have the share connected by that name.
        return (self.values | self.costs | counted)[quantity]


def front(points: Iterable[Point], quality: Metric, cost: str) -> list[Point]:
    """The points that no other dominates, cheapest first.

    A point dominates another if it is no worse in quality and in cost, and better in one of the
    two. Of points equal in both the first is kept. So quality and cost both rise along the front.
    """
    best: list[Point] = []
    # The sort is stable, so the first of equal points comes first.
    for point in sorted(points, key=lambda p: (p.cost(cost), -p.worth(quality))):
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
    quality: Metric,
) -> Point:
    """Choose a point.

    Args:
        points: Points to choose from.
        rule: ``"best"`` picks the best quality. ``"knee"`` picks the point farthest above the line
            between the front's ends, both axes scaled to [0, 1]; of several the cheapest. A
            constraint (:meth:`~ean_transfer.search.constraint.Constraint.parse`) on the metric or
            the loss, such as ``"accuracy >= full - 0.3"``, picks the cheapest that satisfies it;
            one on a cost that was measured, the sparsity or the number of connections, such as
            ``"latency <= 1.05 x plain"``, the best.
        cost: Name of the cost that the cheapest is chosen by.
        none: Point of the plain network, which need not be among the points.
        full: Point of the network with every connection.
        quality: What the best is chosen by.

    Raises:
        ConfigError: The rule cannot be read, is about a quantity that is not known, or no point
            satisfies it.
    """
    best = front(points, quality, cost)
    if rule == "best":
        return best[-1]
    if rule == "knee":
        return _knee(best, quality, cost)
    constraint = Constraint.parse(rule, "'best', 'knee' or a constraint")
    name = constraint.quantity
    known = list(dict.fromkeys((*none.values, CONNECTIONS, "sparsity", *none.costs)))
    if name not in known:
        raise ConfigError(f"{rule!r}: the front knows {', '.join(known[:-1])} and {known[-1]}")
    limit = constraint.limit(none.amount(name), full.amount(name))

    def excess(point: Point) -> float:
        return constraint.excess(point.amount(name), limit)

    satisfying = front((p for p in points if excess(p) == 0.0), quality, cost)
    if not satisfying:
        closest = min(points, key=excess).amount(name)
        raise ConfigError(
            f"no mask of the front has {rule} (= {limit:.6g}): the closest has {closest:.6g}"
        )
    cheapest, *_ = satisfying
    return cheapest if name in none.values else satisfying[-1]


def _knee(points: Sequence[Point], quality: Metric, cost: str) -> Point:
    first, last = points[0], points[-1]
    width = last.cost(cost) - first.cost(cost) or 1.0
    lowest = first.worth(quality)
    height = last.worth(quality) - lowest or 1.0

    def above_chord(point: Point) -> float:  # the distance is this over the square root of 2
        rise = (point.worth(quality) - lowest) / height
        return rise - (point.cost(cost) - first.cost(cost)) / width

    return max(points, key=above_chord)


class Pareto(JSONFile):
    """The content of ``pareto.json``: what no mask beats, and the two references.

    The points lie on the front of quality over at least one cost: any that was measured, or the
    sparsity.

    Args:
        cost: Cost that the search was about.
        unit: Unit of that cost.
        quality: Name of what masks are compared by: the scorer's metric or ``"loss"``.
        higher_is_better: Whether the best have a high value of it.
        none: The plain network.
        full: The network with every connection.
        points: The points, those that cost least first.
    """

    # A mask's loss may be infinite or not a number, which pydantic would write as null.
    model_config = ConfigDict(ser_json_inf_nan="constants")
    what = "Pareto front"

    format: Literal["ean-transfer/pareto"] = "ean-transfer/pareto"
    version: Literal[2] = 2
    cost: Cost
    unit: str
    quality: str
    higher_is_better: bool
    none: Point
    full: Point
    points: tuple[Point, ...]

    @classmethod
    def from_json(cls, text: str | bytes, source: str = "the text") -> Self:
        """Parse the text of a file, also of version 1."""
        data = None
        with suppress(ValueError):  # what is no JSON is refused below
            data = json.loads(text)
        if isinstance(data, dict) and data.get("version") == 1:
            text = json.dumps(_from_version_1(data, source))
        return super().from_json(text, source)

    @classmethod
    def of(
        cls, points: Iterable[Point], *, cost: Cost, none: Point, full: Point, quality: Metric
    ) -> Pareto:
        """The fronts of scored masks and the two references."""
        points = [*points, none, full]
        fronts = [front(points, quality, name) for name in ("sparsity", *none.costs)]
        kept = {point.mask: point for best in fronts for point in best}
        return cls(
            cost=cost,
            unit=UNITS[cost],
            quality=quality.name,
            higher_is_better=quality.higher_is_better,
            none=none,
            full=full,
            points=tuple(sorted(kept.values(), key=lambda p: (p.cost(cost), -p.worth(quality)))),
        )

    @property
    def axis(self) -> Metric:
        """What masks are compared by."""
        return Metric(self.quality, "", self.higher_is_better)

    @property
    def front(self) -> list[Point]:
        """The front of quality over the cost that the search was about, cheapest first."""
        return front(self.points, self.axis, self.cost)

    def pick(self, rule: str) -> Point:
        """Pick a point by a rule, see :func:`pick`."""
        return pick(
            self.points, rule, cost=self.cost, none=self.none, full=self.full, quality=self.axis
        )


def _from_version_1(data: dict[str, Any], source: str) -> dict[str, Any]:
    """The fields of version 2, which names values and has all costs."""
    cost, quality = data.get("cost"), data.get("quality", ACCURACY.name)

    def point(old: dict[str, Any]) -> dict[str, Any]:
        costs = {} if cost == "sparsity" else {cost: old["cost"]}
        values = {name: old[name] for name in (ACCURACY.name, LOSS.name)}
        return {"mask": old["mask"], "values": values, "costs": costs}

    try:
        points = [point(old) for old in data["points"]]
        none, full = point(data["none"]), point(data["full"])
    except (KeyError, TypeError):
        raise ConfigError(
            f"{source}: no {Pareto.what}: expected points with mask, accuracy, loss and cost"
        ) from None
    direction = {"quality": quality, "higher_is_better": quality == ACCURACY.name}
    return data | direction | {"version": 2, "none": none, "full": full, "points": points}
