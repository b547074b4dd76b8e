"""The masks that a search has scored so far, and the best of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ean_transfer.search.reward import Rank, Reward
from ean_transfer.search.trace import TraceLine
from ean_transfer.supernet import Score
from ean_transfer.ticket.mask import Mask, bits_of


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
                self.add(line.bits, Score(line.accuracy, line.loss, images))

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
                accuracy=self.scores[mask].accuracy,
                loss=self.scores[mask].loss,
                sparsity=1.0 - sum(mask) / len(mask),
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
    def leaders(self) -> list[Mask]:
        """All scored masks, the best first; of equals the one scored earlier."""
        return sorted(self.ranks, key=self.ranks.__getitem__, reverse=True)

    @property
    def best(self) -> Mask:
        """The best mask: of those that satisfy the constraint, if any do."""
        return max(self.ranks, key=self.ranks.__getitem__)

    def progress(self) -> str:
        """One line for the log and the progress bar."""
        best = self.best
        return (
            f"best {self.ranks[best].reward:.2f} ({bits_of(best)}: accuracy "
            f"{self.scores[best].accuracy:.2f}, sparsity {1.0 - sum(best) / len(best):.2f}), "
            f"{len(self.scores)} masks scored, {sum(line.cached for line in self.trace)} cache hits"
        )

    def scalars(self, lines: Sequence[TraceLine]) -> dict[str, float]:
        """The curves to watch, after a step of these lines."""
        best = self.best
        return {
            "search/reward": sum(line.reward for line in lines) / len(lines),
            "search/best_reward": self.ranks[best].reward,
            "search/best_accuracy": self.scores[best].accuracy,
            "search/best_sparsity": 1.0 - sum(best) / len(best),
            "search/masks_scored": len(self.scores),
        }
