"""The end of a search: its leaders on all held-out images, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ean_transfer.search.pareto import Pareto, Point
from ean_transfer.search.reward import Reward
from ean_transfer.supernet import Mask, MaskEvaluator, Score
from ean_transfer.supernet.evaluation import Outcome
from ean_transfer.ticket.mask import bits_of

_MOST_ROUNDS = 4  # of leaders, while none satisfies the constraint


@dataclass(frozen=True)
class Confirmed:
    """The finalists, scored on all images.

    Attributes:
        outcomes: Of each finalist; none and full are among them.
        reward: The search's, relative to none and full on all images.
    """

    outcomes: Mapping[Mask, Outcome]
    reward: Reward

    @property
    def ranked(self) -> list[Mask]:
        """The finalists, the best first: those that satisfy the constraint, then by reward."""

        def order(mask: Mask) -> tuple[bool, float, int, Mask]:
            # Of equal rewards, the sparser; the bits order what is still equal.
            return (*self.reward.rank(mask, self.outcomes[mask].score), -sum(mask), mask)

        return sorted(self.outcomes, key=order, reverse=True)

    @property
    def chosen(self) -> Mask:
        """The ticket's mask."""
        return self.ranked[0]

    @property
    def score(self) -> Score:
        """The ticket's."""
        return self.outcomes[self.chosen].score

    @property
    def feasible(self) -> bool:
        """Does the ticket satisfy the constraint?"""
        return self.reward.feasible(self.chosen, self.score)

    def found(self, mask: Mask) -> dict[str, float | bool]:
        """What the ticket's file says of a finalist."""
        score, full = self.outcomes[mask].score, self.outcomes[(True,) * len(mask)]
        tables = self.reward.tables.items()
        gained, error = self.outcomes[mask].difference(full)
        return {
            "accuracy": round(score.accuracy, 4),
            "loss": round(score.loss, 6),
            "over_full": round(gained, 4),  # points of accuracy
            "standard_error": round(error, 4),  # of over_full
            "sparsity": round(1.0 - sum(mask) / len(mask), 4),
            **{name: round(table.of(mask), 6) for name, table in tables if name != "sparsity"},
            "feasible": self.reward.feasible(mask, score),
            "reward": round(self.reward(mask, score), 4),
        }

    def pareto(self, others: Mapping[Mask, Score]) -> Pareto:
        """The front of the finalists and of other masks scored on the same images."""
        scores = {**others, **{mask: found.score for mask, found in self.outcomes.items()}}
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
    """A mask in the plane of quality over cost."""
    return Point(bits_of(mask), score.accuracy, score.loss, reward.cost_of(mask))


def confirm(
    scorer: MaskEvaluator,
    reward: Reward,
    leaders: Sequence[Mask],
    named: Mapping[str, Mask],
    count: int,
) -> Confirmed:
    """Score the leaders and some named masks on all images. Every process has to call it alike.

    Args:
        scorer: The search's.
        reward: The search's.
        leaders: All masks of the search, the best first.
        named: Masks to be scored in any case; among them ``none`` and ``full``.
        count: How many leaders. As many more, up to three times, if on all images none of them
            satisfies the constraint.
    """
    scorer = scorer.on_all_images()
    references = [named["none"], named["full"]]
    outcomes = scorer.outcomes([*leaders[:count], *named.values()])
    reward = reward.with_references(*(outcomes[mask].score for mask in references))
    for done in range(1, _MOST_ROUNDS):
        if any(
            reward.feasible(mask, outcome.score)
            for mask, outcome in outcomes.items()
            if mask not in references
        ):
            break
        more = leaders[done * count : (done + 1) * count]
        outcomes = outcomes | scorer.outcomes([mask for mask in more if mask not in outcomes])
    return Confirmed(outcomes, reward)
