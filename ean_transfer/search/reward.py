"""From a mask's score to the one number that a search maximises."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import NamedTuple

from ean_transfer.search.constraint import Constraint, amount
from ean_transfer.search.cost.table import Cost, CostTable
from ean_transfer.search.quality import qualities, value_of
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet.scoring import LOSS, Metric, Score


class Rank(NamedTuple):
    """How a mask compares with others: those that satisfy the constraint first, then by reward."""

    feasible: bool
    reward: float


@dataclass(frozen=True)
class Reward:
    """The reward of masks, see :class:`~ean_transfer.search.reward_settings.RewardSettings`.

    **Objective.** With a quality: ``quality + weight * (1 - relative cost)``, the papers' form,
    where quality is the metric in its units of reward (the accuracy in points, minus the loss in
    hundredths of a nat). Without a quality: ``100 * (1 - relative cost)``, the percentage of full's
    added cost that a mask saves.

    **Constraint.** A mask that satisfies it is rewarded its objective, any other

        ``bound - steepness * (1 + violation)``.

    The violation is counted in the metric's units of reward (points of accuracy, hundredths of a
    nat), or tenths of full's added cost, so that rewards rise towards the masks that satisfy the
    constraint. The objective does not enter, since a mask that may not be chosen need not be good.
    The bound is the objective of the better reference, none or full, that satisfies the constraint:
    the best mask does at least as well, so no violation is rewarded above it, and the step down to
    the violating masks is no larger than necessary. If neither reference satisfies it, the bound is
    the worst value of the metric (accuracy 0, a loss of 10 nats) or, without a quality, a saving of
    0. A metric without a worst value has the worse reference's objective instead.

    Attributes:
        quality: The scorer's metric or the loss, or ``None`` to minimise the cost.
        metric: The scorer's metric.
        cost: Cost in the objective; if it has none, that of the constraint; else sparsity.
        weight: Units of reward that a mask without any cost is worth.
        constraint: Condition that the masks must satisfy, if there is one.
        steepness: Reward lost per unit of violation.
        tables: Tables of all costs involved, by name.
        none: Score of the plain network.
        full: Score of the network with every connection.
    """

    quality: Metric | None
    metric: Metric
    cost: Cost
    weight: float
    constraint: Constraint | None
    steepness: float
    tables: Mapping[Cost, CostTable]
    none: Score
    full: Score

    @classmethod
    def of(
        cls,
        settings: RewardSettings,
        tables: Mapping[Cost, CostTable],
        none: Score,
        full: Score,
        metric: Metric,
    ) -> Reward:
        """The reward that a config asks for.

        Args:
            settings: The config's ``search.reward``.
            tables: Tables of ``settings.costs``, by name.
            none: Score of the plain network.
            full: Score of the network with every connection.
            metric: The scorer's metric.
        """
        return cls(
            quality=None if settings.quality is None else qualities(metric)[settings.quality],
            metric=metric,
            cost=settings.costs[0],
            weight=settings.weight or 0.0,
            constraint=settings.constraint,
            steepness=settings.steepness or (10.0 if settings.minimize else 1.0),
            tables={name: tables[name] for name in settings.costs},
            none=none,
            full=full,
        )

    def with_references(self, none: Score, full: Score) -> Reward:
        """The same reward with other scores of none and full, e.g. on more images."""
        return replace(self, none=none, full=full)

    def __call__(self, mask: Sequence[bool], score: Score) -> float:
        """The reward of a mask; always finite."""
        return self.rank(mask, score).reward

    def rank(self, mask: Sequence[bool], score: Score) -> Rank:
        """The reward of a mask, and whether it satisfies the constraint."""
        violation = self.violation(mask, score)
        if violation == 0.0:
            return Rank(self.feasible(mask, score), self.objective(mask, score))
        return Rank(False, self._bound - self.steepness * (1.0 + violation))

    def objective(self, mask: Sequence[bool], score: Score) -> float:
        """The number that is maximised among the masks that satisfy the constraint."""
        saved = 1.0 - self.tables[self.cost].relative(mask)
        if self.quality is None:
            return 100.0 * saved
        return self.merit(score) + self.weight * saved

    def merit(self, score: Score) -> float:
        """A mask's quality (:attr:`axis`) in units of reward, at least that of its worst value.

        Without a worst value, one that is not finite counts as far below none and full.
        """
        merit, worst = (self.axis.reward(v) for v in (value_of(score, self.axis), self.axis.worst))
        if math.isfinite(worst):
            return merit if merit >= worst else worst  # also for a loss that is not a number
        if math.isfinite(merit):
            return merit
        none, full = (self.axis.reward(value_of(s, self.axis)) for s in (self.none, self.full))
        return min(none, full) - 10.0 * (abs(none - full) or 1.0)

    def violation(self, mask: Sequence[bool], score: Score) -> float:
        """By how much a mask breaks the constraint, from 0 to 100 of its units."""
        if self.constraint is None:
            return 0.0
        excess = self.constraint.excess(self._quantity(mask, score), self._limit)
        violation = excess / self._violation_unit
        return violation if violation <= 100.0 else 100.0  # also for what is not a number

    def feasible(self, mask: Sequence[bool], score: Score) -> bool:
        """Whether the mask satisfies the constraint, and its quality is a finite number."""
        return self.violation(mask, score) == 0.0 and math.isfinite(value_of(score, self.axis))

    def cost_of(self, mask: Sequence[bool]) -> float:
        """The mask's :attr:`cost`, in the unit of its table."""
        return self.tables[self.cost].of(mask)

    @property
    def axis(self) -> Metric:
        """The quality that masks are compared by over their cost."""
        if self.quality is not None:
            return self.quality
        constrains_loss = self.constraint is not None and self.constraint.quantity == LOSS.name
        return qualities(self.metric)[LOSS.name] if constrains_loss else self.metric

    @property
    def unit(self) -> str:
        """Unit of the reward."""
        if self.quality is None:
            return f"% of full's added {self.cost} saved"
        return self.quality.reward_unit or self.quality.unit

    def describe(self) -> str:
        """One line for the log."""
        if self.quality is None:
            text = f"least {self.cost}, as {self.unit}"
        else:
            factor = self.quality.reward(1.0)
            text = {1.0: "", -1.0: "-"}.get(factor, f"{factor:g} x ") + self.quality.name
            if self.weight:
                text += f" + {self.weight:g} x (1 - relative {self.cost})"
            text += f", in {self.unit}"
        if self.constraint is not None:
            text += f", with {self.constraint} (= {self._limit:.6g})"
        return text

    # -- the constraint's numbers, computed once --------------------------------------------------

    @property
    def _lowest(self) -> float:
        return 0.0 if self.quality is None else self.quality.reward(self.quality.worst)

    @cached_property
    def _references(self) -> list[tuple[Sequence[bool], Score]]:
        blocks = sum(self.tables[self.cost].blocks)
        return [((False,) * blocks, self.none), ((True,) * blocks, self.full)]

    def _quantity(self, mask: Sequence[bool], score: Score) -> float:
        assert self.constraint is not None
        name = self.constraint.quantity
        if self.constraint.is_budget:
            return amount(name, mask, self.tables)
        return value_of(score, qualities(self.metric)[name])

    @cached_property
    def _limit(self) -> float:
        assert self.constraint is not None
        none, full = (self._quantity(*reference) for reference in self._references)
        return self.constraint.limit(none, full)

    @cached_property
    def _violation_unit(self) -> float:
        assert self.constraint is not None
        if not self.constraint.is_budget:
            return 1.0 / qualities(self.metric)[self.constraint.quantity].reward_scale
        none, full = (self._quantity(*reference) for reference in self._references)
        return 0.1 * (abs(full - none) or abs(self._limit) or 1.0)

    @cached_property
    def _bound(self) -> float:
        satisfying = [
            self.objective(*reference)
            for reference in self._references
            if self.feasible(*reference)
        ]
        if satisfying:
            return max(satisfying)
        if math.isfinite(self._lowest):
            return self._lowest
        return min(self.objective(*reference) for reference in self._references)
