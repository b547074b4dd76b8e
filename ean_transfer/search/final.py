"""From a trace to the ticket: the three rules."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from ean_transfer.search.trace import TraceLine
from ean_transfer.ticket.mask import Mask


def best_sampled(trace: Sequence[TraceLine]) -> Mask:
    """The mask of the highest reward; the first of them if several."""
    return max(trace, key=lambda line: line.reward).bits


def most_frequent(trace: Sequence[TraceLine], last_steps: int) -> Mask:
    """The mask sampled most often in the last steps; of several, the one of higher reward."""
    final_step = max(line.step for line in trace)
    recent = [line for line in trace if line.step > final_step - last_steps]
    counts = Counter(line.mask for line in recent)
    return max(recent, key=lambda line: (counts[line.mask], line.reward)).bits


def policy_argmax(probabilities: Sequence[float]) -> Mask:
    """The most probable mask under independent block probabilities."""
    return tuple(p > 0.5 for p in probabilities)


def candidates(
    trace: Sequence[TraceLine], probabilities: Sequence[float] | None, last_steps: int
) -> dict[str, Mask]:
    """The masks that the three rules propose, by the rule's name.

    Args:
        trace: All scored masks.
        probabilities: The final policy's, ``None`` for a strategy without one.
        last_steps: Steps that "last" means for the most frequent mask.
    """
    found = {
        "best_sampled": best_sampled(trace),
        "most_frequent": most_frequent(trace, last_steps),
    }
    if probabilities is not None:
        found["policy_argmax"] = policy_argmax(probabilities)
    return found
