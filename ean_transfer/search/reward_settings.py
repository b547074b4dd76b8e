"""What a config's ``search.reward`` says: the quality, the cost and the constraint of a search."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field, model_validator

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked
from ean_transfer.search.constraint import BUDGETS, Constraint
from ean_transfer.search.cost.table import COSTS, Cost
from ean_transfer.search.quality import qualities
from ean_transfer.search.trace import KEYS
from ean_transfer.supernet.scoring import Metric

_NonNegative = Annotated[float, Field(ge=0.0, allow_inf_nan=False)]


def _parsed(text: Any) -> Constraint:
    return Constraint.parse(text)


class RewardSettings(Checked):
    """A config's ``search.reward``: what is searched for.

    There are three forms, of which the first two can be combined::

        dict(quality="accuracy", cost="sparsity", weight=2.0)  # the papers': accuracy + 2 sparsity
        dict(quality="accuracy", constraint="latency <= 1.08 x plain")  # the best that is fast
        dict(quality="loss", constraint="connections = 4")  # the best of four connections
        dict(minimize="latency", constraint="accuracy >= full - 0.3")  # the cheapest that is good

    Args:
        quality: What masks should be good at: ``"loss"``, or the scorer's metric by its name, such
            as ``"accuracy"``. Where lower is better, as for a loss, it is minimised.
        cost: Cost that the weight belongs to.
        weight: Points that a mask without any of the cost is worth; 0 only records the cost.
        minimize: Cost to minimise.
        constraint: Condition that the masks must satisfy, as text; see :meth:`Constraint.parse`.
        steepness: Reward lost per unit of violation, see
            :class:`~ean_transfer.search.reward.Reward`; 1 by default, and 10 where a cost is
            minimised.
    """

    what = "search.reward"

    quality: str | None = None
    cost: Cost | None = None
    weight: _NonNegative | None = None
    minimize: Cost | None = None
    constraint: Annotated[Constraint, BeforeValidator(_parsed)] | None = None
    steepness: Annotated[float, Field(ge=1e-6, allow_inf_nan=False)] | None = None

    @model_validator(mode="after")
    def _is_one_of_the_forms(self) -> RewardSettings:
        has_cost, has_weight = self.cost is not None, self.weight is not None
        minimizes = self.minimize is not None
        problems = {
            "expected either a quality to maximise (quality='accuracy') or a cost to minimise "
            "(minimize='latency')": (self.quality is not None) == minimizes,
            "minimize needs a constraint, or the plain network is the answer: add e.g. "
            "constraint='accuracy >= full - 0.3'": minimizes and self.constraint is None,
            "minimize names the cost: leave out cost and weight": (
                minimizes and (has_cost or has_weight)
            ),
            "cost and weight come together: the weight is what a mask without any of the cost is "
            "worth, in points (0 only records the cost)": has_cost != has_weight,
        }
        for problem, is_there in problems.items():
            if is_there:
                raise ValueError(problem)
        return self

    def require_known(self, metric: Metric) -> None:
        """Refuse names that neither the scorer's metric nor a cost has, and those that both have.

        Raises:
            ConfigError: Quality or constraint name something else, or the metric's name stands for
                another quantity of a mask.
        """
        names = list(qualities(metric))
        if metric.name in (*KEYS, *BUDGETS):
            raise ConfigError(
                f"expected a metric with a name of its own, found {metric.name!r}, which stands "
                f"for something else, as do {', '.join(dict.fromkeys((*KEYS, *BUDGETS)))}"
            )
        if self.quality is not None and self.quality not in names:
            expected = " or ".join(map(repr, names))
            raise ConfigError(f"{self.what}: quality: expected {expected}, found {self.quality!r}")
        if self.constraint is not None and self.constraint.quantity not in (*names, *BUDGETS):
            expected = ", ".join((*names, *BUDGETS))
            raise ConfigError(
                f"{self.what}: constraint: expected one of {expected}, found "
                f"{self.constraint.quantity!r} in {str(self.constraint)!r}"
            )

    @property
    def costs(self) -> list[Cost]:
        """The costs that the reward needs tables of; first the one to be recorded and drawn."""
        quantity = None if self.constraint is None else self.constraint.quantity
        constrained: list[Cost] = [cost for cost in COSTS if cost == quantity]
        first = self.minimize or self.cost or (*constrained, "sparsity")[0]
        # A mask's sparsity can be read off without a table.
        return [first, *(cost for cost in constrained if cost not in (first, "sparsity"))]
