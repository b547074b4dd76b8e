"""The masks that a search has scored so far, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ean_transfer.search.quality import values_of
from ean_transfer.search.reward import Rank, Reward
from ean_transfer.search.trace import TraceLine
from ean_transfer.supernet.scoring import LOSS, Score
from ean_transfer.ticket.mask import Mask, bits_of, sparsity


class History:
    """Scores, rewards and trace of a search.

    Args:
        reward: Reward of the search.

    Attributes:
        trace: One line per mask asked for, those asked for again included.
        scores: Score of each distinct mask, in the order of scoring.
        ranks: Rank of each distinct mask, which has its reward, in the same order.
    """

    def __init__(self, reward: Reward) -> None:
        self.reward = reward
        self.trace: list[TraceLine] = []
        self.scores: dict[Mask, Score] = {}
        self.ranks: dict[Mask, Rank] = {}

    def add(self, mask: Mask, score: Score) -> None:
        """Remember a mask's score, and compute its reward."""
        self.scores[mask] = score
        self.ranks[mask] = self.reward.rank(mask, score)

    def restore(self, trace: Iterable[TraceLine], images: int) -> None:
        """Take over the trace of a stopped search, whose masks were scored on so many images."""
        for line in trace:
            self.trace.append(line)
            if line.bits not in self.scores:
                values = line.values
                metric = values[self.reward.metric.name]
                self.add(line.bits, Score(metric, values[LOSS.name], images))

    def record(
        self,
        step: int,
        masks: Sequence[Mask],
        new: Sequence[Mask],
        policy: Sequence[float] | None,
    ) -> list[TraceLine]:
        """Append a step to the trace.

        Args:
            step: Index of the step.
            masks: Masks asked for, all of them added before.
            new: Those of them that were scored in this step.
            policy: Probability of each block before the step, if the strategy has a policy.

        Returns:
            The step's lines.
        """
        lines = [
            TraceLine(
                step=step,
                mask=bits_of(mask),
                values=values_of(self.scores[mask], self.reward.metric),
                sparsity=sparsity(mask),
                reward=self.ranks[mask].reward,
                cached=mask not in new,
                policy=None if policy is None else [round(p, 4) for p in policy],
                cost=self.reward.cost_of(mask),
            )
            for mask in masks
        ]
        self.trace += lines
        return lines

    @property
    def merits(self) -> dict[Mask, float]:
        """What each scored mask is good for, see :meth:`Reward.merit`; none and full included."""
        blocks = len(next(iter(self.scores)))
        references = {(False,) * blocks: self.reward.none, (True,) * blocks: self.reward.full}
        scores = {**references, **self.scores}
        return {mask: self.reward.merit(score) for mask, score in scores.items()}

    @property
    def leaders(self) -> list[Mask]:
        """All scored masks, the best first; of equals the one scored earlier."""
        return sorted(self.ranks, key=self.ranks.__getitem__, reverse=True)

    @property
    def best(self) -> Mask:
        """The best mask: of those that satisfy the constraint, if any do."""
        return max(self.ranks, key=self.ranks.__getitem__)

    def progress(self) -> str:
        """One line for the log and the progress bar."""
        best, metric = self.best, self.reward.metric
        return (
            f"best {self.ranks[best].reward:.2f} ({bits_of(best)}: {metric.name} "
            f"{self.scores[best].metric:.{metric.decimals - 2}f}, sparsity {sparsity(best):.2f}), "
            f"{len(self.scores)} masks scored, {sum(line.cached for line in self.trace)} cache hits"
        )

    def scalars(self, lines: Sequence[TraceLine]) -> dict[str, float]:
        """The curves to watch, after a step of these lines."""
        best, metric = self.best, self.reward.metric.name
        return {
            "search/reward": sum(line.reward for line in lines) / len(lines),
            "search/best_reward": self.ranks[best].reward,
            f"search/best_{metric}": self.scores[best].metric,
            "search/best_sparsity": sparsity(best),
            "search/masks_scored": len(self.scores),
        }
