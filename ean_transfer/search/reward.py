"""From a mask's score to the one number that a search maximises."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.table import COSTS, CostTable
from ean_transfer.supernet import Score

QUALITIES = ("accuracy", "loss")
_EXAMPLE = "write e.g. 'latency <= 1.08 x plain', 'accuracy >= full - 0.3' or 'sparsity >= 0.5'"
_NUMBER = r"(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?"
_CONSTRAINT = re.compile(
    rf"""
    (?P<quantity>[a-z]+) \s* (?P<op><=|>=) \s*
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

    quantity: str
    op: str  # "<=" or ">="
    factor: float  # 0 without a reference
    reference: str | None  # "none" or "full"
    offset: float

    @classmethod
    def parse(cls, text: str) -> Constraint:
        """Read ``<quantity> <op> <right side>``.

        The right side is a number, or ``[number x] none|plain|full [+|- number]``; ``plain`` is
        ``none`` and ``*`` is ``x``.

        Raises:
            ConfigError: If the text is no such constraint.
        """
        match = _CONSTRAINT.fullmatch(text.strip()) if isinstance(text, str) else None
        if match is None:
            raise ConfigError(f"constraint {text!r} cannot be read: {_EXAMPLE}")
        known = (*QUALITIES, *COSTS)
        if match["quantity"] not in known:
            raise ConfigError(
                f"constraint {text!r}: {match['quantity']!r} is none of {', '.join(known)}: "
                f"{_EXAMPLE}"
            )
        reference = "none" if match["reference"] == "plain" else match["reference"]
        if reference is None:
            factor, offset = 0.0, float(match["number"])
        else:
            factor = float(match["factor"] or 1.0)
            offset = float((match["sign"] or "") + (match["offset"] or "0"))
        if not (math.isfinite(factor) and math.isfinite(offset)):
            raise ConfigError(f"constraint {text!r} holds a number too large: {_EXAMPLE}")
        return cls(match["quantity"], match["op"], factor, reference, offset)

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
        """The right side, given the quantity of the two references."""
        if self.reference is None:
            return self.offset
        return self.factor * (none if self.reference == "none" else full) + self.offset

    def excess(self, value: float, limit: float) -> float:
        """By how much a value breaks the limit; 0 if it does not, also by a rounding error."""
        excess = value - limit if self.op == "<=" else limit - value
        return 0.0 if excess <= 1e-9 * max(1.0, abs(limit)) else excess


@dataclass(frozen=True)
class Reward:
    """The reward of masks, see :func:`build_reward`.

    **Objective.** With a quality: ``quality + weight * (1 - relative cost)``, the papers' form,
    where quality is the accuracy in points or minus the loss in hundredths of a nat. Without:
    ``100 * (1 - relative cost)``, the percentage that a mask saves of what the full mask costs more
    than none.

    **Constraint.** A mask that satisfies it is rewarded its objective, any other

        ``bound - steepness * (1 + violation)``.

    The violation is counted in points of accuracy, hundredths of a nat, or tenths of what full
    costs more than none, so that it slopes toward the masks that satisfy. The objective plays no
    part in it, since a mask that may not be chosen need not be good. The bound is the objective of
    the better reference, none or full, that satisfies the constraint: the best mask to be found
    does at least as well, so no violation is rewarded above it, and the step down to the violating
    masks is no larger than it need be. If neither satisfies it, the bound is 0, the lowest
    accuracy or saving, or -1000 hundredths of a nat, which is worse than guessing.

    Attributes:
        quality: ``"accuracy"``, ``"loss"``, or ``None`` to minimise the cost.
        cost: The cost in the objective; if it has none, the one of the constraint; else sparsity.
        weight: Points (or hundredths of a nat) that a mask without any cost is worth.
        constraint: What the masks must satisfy, if anything.
        steepness: Reward lost for each unit of violation.
        tables: Of all costs involved, by name.
        none: Score of the plain network, given when the search starts.
        full: Score of the network with every connection, given when the search starts.
    """

    quality: str | None
    cost: str
    weight: float
    constraint: Constraint | None
    steepness: float
    tables: Mapping[str, CostTable]
    none: Score | None = None
    full: Score | None = None

    def with_references(self, none: Score, full: Score) -> Reward:
        """The same reward, knowing how the masks without and with every connection do."""
        return replace(self, none=none, full=full)

    def __call__(self, mask: Sequence[bool], score: Score) -> float:
        """The reward of a mask; always finite.

        Raises:
            ConfigError: If there is a constraint and the references are not known.
        """
        violation = self.violation(mask, score)
        if violation == 0.0:
            return self.objective(mask, score)
        return self._bound - self.steepness * (1.0 + violation)

    def objective(self, mask: Sequence[bool], score: Score) -> float:
        """What is maximised among the masks that satisfy the constraint."""
        saved = 1.0 - self.tables[self.cost].relative(mask)
        if self.quality is None:
            return 100.0 * saved
        quality = score.accuracy if self.quality == "accuracy" else -100.0 * score.loss
        if not quality >= self._lowest:  # also for a loss that is not a number
            quality = self._lowest
        return quality + self.weight * saved

    def violation(self, mask: Sequence[bool], score: Score) -> float:
        """By how much a mask breaks the constraint, from 0 to 100 of its units."""
        if self.constraint is None:
            return 0.0
        excess = self.constraint.excess(self._quantity(mask, score), self._limit)
        violation = excess / self._violation_unit
        return violation if violation <= 100.0 else 100.0  # also for what is not a number

    def feasible(self, mask: Sequence[bool], score: Score) -> bool:
        """Does the mask satisfy the constraint?"""
        return self.violation(mask, score) == 0.0

    def rank(self, mask: Sequence[bool], score: Score) -> tuple[bool, float]:
        """To sort masks by, the best last: first those that satisfy, then by reward."""
        return self.feasible(mask, score), self(mask, score)

    def require_possible(self) -> None:
        """Refuse a bound on a cost that no mask keeps, before anything is searched.

        Raises:
            ConfigError: If neither the cheapest mask nor the dearest satisfies it.
        """
        if self.constraint is None or self.constraint.quantity in QUALITIES:
            return  # of a quality it shows only in the end
        if not any(self.feasible(*reference) for reference in self._references):
            none, full = (self._quantity(*reference) for reference in self._references)
            raise ConfigError(
                f"no mask satisfies {self.constraint} (= {self._limit:.6g}): "
                f"{self.constraint.quantity} is {none:.6g} without attention, {full:.6g} with all"
            )

    def cost_of(self, mask: Sequence[bool]) -> float:
        """The mask's :attr:`cost`, in the unit of its table."""
        return self.tables[self.cost].of(mask)

    @property
    def axis(self) -> str:
        """The quality that masks are compared by over their cost: ``"accuracy"`` or ``"loss"``."""
        constrained = None if self.constraint is None else self.constraint.quantity
        return next((q for q in (self.quality, constrained) if q in QUALITIES), "accuracy")

    @property
    def unit(self) -> str:
        """In what the reward counts."""
        if self.quality is None:
            return f"% of full's added {self.cost} saved"
        return "points" if self.quality == "accuracy" else "hundredths of a nat"

    def describe(self) -> str:
        """One line for the log."""
        if self.quality is None:
            text = f"least {self.cost}, as {self.unit}"
        else:
            text = self.quality if self.quality == "accuracy" else "-100 x loss"
            if self.weight:
                text += f" + {self.weight:g} x (1 - relative {self.cost})"
            text += f", in {self.unit}"
        if self.constraint is not None:
            text += f", with {self.constraint}"
            if self.none is not None:
                text += f" (= {self._limit:.6g})"
        return text

    # -- the constraint's numbers, once a search --------------------------------------------------

    @property
    def _lowest(self) -> float:
        return -1000.0 if self.quality == "loss" else 0.0

    @cached_property
    def _references(self) -> list[tuple[Sequence[bool], Score]]:
        if self.none is None or self.full is None:
            raise ConfigError(
                f"the constraint {self.constraint} is relative to none and full: score both and "
                "give them to Reward.with_references first"
            )
        blocks = sum(self.tables[self.cost].blocks)
        return [((False,) * blocks, self.none), ((True,) * blocks, self.full)]

    def _quantity(self, mask: Sequence[bool], score: Score) -> float:
        assert self.constraint is not None
        name = self.constraint.quantity
        if name == "sparsity":
            return 1.0 - sum(mask) / len(mask)
        if name in QUALITIES:
            return getattr(score, name)
        return self.tables[name].of(mask)

    @cached_property
    def _limit(self) -> float:
        assert self.constraint is not None
        none, full = (self._quantity(*reference) for reference in self._references)
        return self.constraint.limit(none, full)

    @cached_property
    def _violation_unit(self) -> float:
        assert self.constraint is not None
        if self.constraint.quantity in QUALITIES:
            return 1.0 if self.constraint.quantity == "accuracy" else 0.01
        none, full = (self._quantity(*reference) for reference in self._references)
        return 0.1 * (abs(full - none) or abs(self._limit) or 1.0)

    @cached_property
    def _bound(self) -> float:
        satisfying = [
            self.objective(*reference)
            for reference in self._references
            if self.feasible(*reference)
        ]
        return max(satisfying, default=self._lowest)


def build_reward(cfg: Mapping[str, Any], tables: Mapping[str, CostTable]) -> Reward:
    """Build a search's reward from its config.

    Three forms, of which the first two can be combined::

        dict(quality="accuracy", cost="sparsity", weight=2.0)  # the papers': accuracy + 2 sparsity
        dict(quality="accuracy", constraint="latency <= 1.08 x plain")  # the best that is fast
        dict(minimize="latency", constraint="accuracy >= full - 0.3")  # the cheapest that is good

    ``steepness`` says how much reward each unit of a violation costs (:class:`Reward`), 1 by
    default, and 10 where a cost is minimised. An option that is ``None`` counts as left out.
    Constraints: :meth:`Constraint.parse`.

    Args:
        cfg: The config.
        tables: The cost tables that :func:`costs_of` names, by name.

    Raises:
        ConfigError: For an unknown or missing option, a constraint that cannot be read, or a cost
            without a table.
    """
    check_reward(cfg)
    cfg = {name: value for name, value in cfg.items() if value is not None}
    names = costs_of(cfg)
    if missing := [name for name in names if name not in tables]:
        raise ConfigError(f"the reward needs a cost table of {', '.join(missing)}")
    minimize = "minimize" in cfg
    return Reward(
        quality=cfg.get("quality"),
        cost=names[0],
        weight=_number(cfg, "weight", 0.0),
        constraint=Constraint.parse(cfg["constraint"]) if "constraint" in cfg else None,
        steepness=_number(cfg, "steepness", 10.0 if minimize else 1.0, least=1e-6),
        tables={name: tables[name] for name in names},
    )


def costs_of(cfg: Mapping[str, Any]) -> list[str]:
    """The costs that a reward's config needs tables of; first the one to be recorded and drawn."""
    constrained = None
    if cfg.get("constraint") is not None:
        quantity = Constraint.parse(cfg["constraint"]).quantity
        constrained = quantity if quantity in COSTS else None
    first = cfg.get("minimize") or cfg.get("cost") or constrained or "sparsity"
    if first not in COSTS:
        raise ConfigError(f"reward: a cost is one of {', '.join(COSTS)}, found {first!r}")
    # A mask's sparsity can be read off without a table.
    return [first, *{constrained} - {None, first, "sparsity"}]  # type: ignore[list-item]


def check_reward(cfg: Mapping[str, Any]) -> None:
    """Refuse a config that is none of the forms of :func:`build_reward`, before any table is made.

    Raises:
        ConfigError: For an unknown or missing option, or a constraint that cannot be read.
    """
    if not isinstance(cfg, Mapping):
        raise ConfigError(f"a reward is a dict, e.g. dict(quality='loss'), found {cfg!r}")
    cfg = {name: value for name, value in cfg.items() if value is not None}
    known = {"quality", "cost", "weight", "minimize", "constraint", "steepness"}
    if unknown := sorted(set(cfg) - known):
        raise ConfigError(
            f"reward has no option {', '.join(unknown)}: its options are {', '.join(sorted(known))}"
        )
    if ("quality" in cfg) == ("minimize" in cfg):
        raise ConfigError(
            "reward takes either a quality to maximise (quality='accuracy') or a cost to minimise "
            f"(minimize='latency'), found {cfg}"
        )
    if "minimize" in cfg:
        if "constraint" not in cfg:
            raise ConfigError(
                "reward.minimize needs a constraint, or the plain network is the answer: "
                "add e.g. constraint='accuracy >= full - 0.3'"
            )
        if {"cost", "weight"} & set(cfg):
            raise ConfigError("reward.minimize names the cost, leave out cost and weight")
    elif cfg["quality"] not in QUALITIES:
        raise ConfigError(
            f"reward.quality is one of {', '.join(QUALITIES)}, found {cfg['quality']!r}"
        )
    elif ("cost" in cfg) != ("weight" in cfg):
        raise ConfigError(
            "reward.cost and reward.weight come together: the weight is what a mask without any "
            "of the cost is worth, in points (0 only records the cost)"
        )
    costs_of(cfg)
    _number(cfg, "weight", 0.0)
    _number(cfg, "steepness", 1.0, least=1e-6)


def _number(cfg: Mapping[str, Any], name: str, default: float, least: float = 0.0) -> float:
    value = cfg.get(name, default)
    number = isinstance(value, (int, float)) and not isinstance(value, bool)
    if not (number and least <= value < math.inf):
        raise ConfigError(f"reward.{name} is a number from {least:g}, found {value!r}")
    return float(value)
