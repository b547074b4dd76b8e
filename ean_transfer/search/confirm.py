"""The end of a search: leaders and the rules' masks on all images, and the choice among them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

from ean_transfer.search.baselines import baselines
from ean_transfer.search.budget import BudgetCheck
from ean_transfer.search.pareto import Pareto, Point
from ean_transfer.search.quality import gain, qualities, value_of, values_of
from ean_transfer.search.reward import Rank, Reward
from ean_transfer.search.trace import TraceLine
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.scoring import Difference, Metric, Outcome, Score
from ean_transfer.ticket.mask import Mask, bits_of, sparsity

_MOST_ROUNDS = 4  # of leaders, while none satisfies the constraint


# -- the three rules of the papers -----------------------------------------------------------


def best_sampled(trace: Sequence[TraceLine]) -> Mask:
    """The mask of the highest reward; of several, the first."""
    return max(trace, key=lambda line: line.reward).bits


def most_frequent(trace: Sequence[TraceLine], last_steps: int) -> Mask:
    """The mask sampled most often in the last steps; of several, the one of higher reward."""
    final_step = max(line.step for line in trace)
    recent = [line for line in trace if line.step > final_step - last_steps]
    counts = Counter(line.mask for line in recent)
    return max(recent, key=lambda line: (counts[line.mask], line.reward)).bits


def masks_of_rules(
    trace: Sequence[TraceLine], likeliest: Mask | None, last_steps: int
) -> dict[str, Mask]:
    """The masks that the three rules propose, by the rule's name.

    Args:
        trace: All scored masks.
        likeliest: The most probable mask of the final policy, ``None`` for a strategy without one.
        last_steps: Number of steps that the most frequent mask is sought among.
    """
    masks = {
        "best_sampled": best_sampled(trace),
        "most_frequent": most_frequent(trace, last_steps),
    }
    if likeliest is not None:
        masks["policy_argmax"] = likeliest
    return masks


# -- the confirmation ------------------------------------------------------------------------


@dataclass(frozen=True)
class Confirmed:
    """The finalists, scored on all images.

    Attributes:
        outcomes: Outcome of each finalist; none and full are among them.
        reward: Reward of the search, relative to none and full on all images.
        baselines: Masks that need no search, by name, see
            :func:`~ean_transfer.search.baselines.baselines`. They are shown beside the ticket and
            cannot become it, unless they are finalists as well: a search that took the best of its
            own masks and of theirs would never lose to them.
        of_baselines: Outcome of each baseline that is no finalist.
        over_budget: Finalists that keep their budget on latency by the table, but not when timed.
        budget: The time of the ticket's mask; ``None`` without a budget on latency.
    """

    outcomes: Mapping[Mask, Outcome]
    reward: Reward
    baselines: Mapping[str, Mask] = field(default_factory=dict)
    of_baselines: Mapping[Mask, Outcome] = field(default_factory=dict)
    over_budget: Collection[Mask] = ()
    budget: BudgetCheck | None = None

    def outcome(self, mask: Mask) -> Outcome:
        """Outcome of a finalist or a baseline."""
        return self.outcomes[mask] if mask in self.outcomes else self.of_baselines[mask]

    @property
    def ranked(self) -> list[Mask]:
        """The finalists, the best first: those that satisfy the constraint, then by reward."""

        def order(mask: Mask) -> tuple[bool, float, int, Mask]:
            # Of equal rewards, the sparser; the bits order what is still equal.
            return (*self.rank(mask), -sum(mask), mask)

        return sorted(self.outcomes, key=order, reverse=True)

    @property
    def chosen(self) -> Mask:
        """The ticket's mask."""
        return self.ranked[0]

    @property
    def score(self) -> Score:
        """Score of the ticket's mask."""
        return self.outcomes[self.chosen].score

    @property
    def feasible(self) -> bool:
        """Whether the ticket's mask satisfies the constraint."""
        return self.rank(self.chosen).feasible

    def gain(self, first: Mask, second: Mask, quality: Metric) -> Difference:
        """By how much the first mask is better than the second, in the quality's unit."""
        return gain(self.outcome(first), self.outcome(second), quality)

    def rank(self, mask: Mask) -> Rank:
        """How a finalist or a baseline compares with others by the reward."""
        rank = self.reward.rank(mask, self.outcome(mask).score)
        return rank._replace(feasible=rank.feasible and mask not in self.over_budget)

    def facts(self, mask: Mask) -> dict[str, float | bool]:
        """The numbers of a finalist that the ticket's provenance reports."""
        score, full = self.outcomes[mask].score, self.outcomes[(True,) * len(mask)]
        tables, metric = self.reward.tables.items(), self.reward.metric
        gained, error = self.outcomes[mask].difference(full)
        rank = self.rank(mask)
        return {
            **{
                name: round(value_of(score, quality), quality.decimals)
                for name, quality in qualities(metric).items()
            },
            "over_full": round(gained, metric.decimals),  # in the metric's unit
            "standard_error": round(error, metric.decimals),  # of over_full
            "sparsity": round(sparsity(mask), 4),
            **{name: round(table.of(mask), 6) for name, table in tables if name != "sparsity"},
            "feasible": rank.feasible,
            "reward": round(rank.reward, 4),
        }

    def pareto(self, others: Mapping[Mask, Score]) -> Pareto:
        """The front of the finalists and of other masks scored on the same images."""
        scores = {**others, **{mask: outcome.score for mask, outcome in self.outcomes.items()}}
        points = {mask: point(mask, score, self.reward) for mask, score in scores.items()}
        blocks = len(self.chosen)
        return Pareto.of(
            points.values(),
            cost=self.reward.cost,
            none=points[(False,) * blocks],
            full=points[(True,) * blocks],
            quality=self.reward.axis,
        )


def point(mask: Mask, score: Score, reward: Reward) -> Point:
    """A mask with its values and all of its costs that were measured."""
    costs: dict[str, float] = {name: table.of(mask) for name, table in reward.tables.items()}
    return Point(bits_of(mask), values_of(score, reward.metric), costs)


def confirm(
    evaluator: MaskEvaluator,
    reward: Reward,
    leaders: Sequence[Mask],
    named: Mapping[str, Mask],
    count: int,
    seed: int,
    first_within_budget: Callable[[list[Mask]], tuple[list[Mask], BudgetCheck | None]],
) -> Confirmed:
    """Score the leaders, some named masks and the baselines on all images.

    Every process has to call it.

    Args:
        evaluator: Evaluator of the search.
        reward: Reward of the search.
        leaders: All masks of the search, the best first.
        named: Masks to be scored in any case; among them ``none`` and ``full``.
        count: Number of leaders to score. If on all images none of them satisfies the constraint,
            as many more are scored, up to three times.
        seed: Seed of the random baselines.
        first_within_budget: What times the finalists that satisfy the constraint, the best first,
            see :func:`~ean_transfer.search.budget.first_within_budget`.
    """
    evaluator = evaluator.on_all_images()
    references = [named["none"], named["full"]]
    outcomes = evaluator.outcomes([*leaders[:count], *named.values()])
    reward = reward.with_references(*(outcomes[mask].score for mask in references))
    for scored in range(1, _MOST_ROUNDS):
        if any(
            reward.feasible(mask, outcome.score)
            for mask, outcome in outcomes.items()
            if mask not in references
        ):
            break
        more = leaders[scored * count : (scored + 1) * count]
        outcomes = outcomes | evaluator.outcomes([mask for mask in more if mask not in outcomes])
    final = Confirmed(outcomes, reward)
    satisfying = [mask for mask in final.ranked if final.rank(mask).feasible]
    over, budget = first_within_budget(satisfying or [final.chosen])
    final = replace(final, over_budget=over, budget=budget)
    blocks = evaluator.backbone.ticket.backbone.blocks
    others = baselines(blocks, sum(final.chosen), seed)
    of_others = evaluator.outcomes([mask for mask in others.values() if mask not in outcomes])
    return replace(final, baselines=others, of_baselines=of_others)
