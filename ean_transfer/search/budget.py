"""Which finalist keeps a budget on latency when its own time is measured.

A search estimates a mask's time by a table, as the sum of its connections. The best masks within a
budget are often those whose time the table has underestimated, so the masks themselves are timed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any

import torch

from ean_transfer.analysis.latency import (
    Latency,
    device_name,
    device_of,
    forward_ms_in_turn,
    inputs_of,
    random_images,
)
from ean_transfer.analysis.variants import under_masks
from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.errors import ConfigError
from ean_transfer.search.constraint import Constraint
from ean_transfer.search.cost.measuring import Measurement
from ean_transfer.search.cost.table import LATENCIES
from ean_transfer.search.reward import Reward
from ean_transfer.ticket.mask import Mask


@dataclass(frozen=True)
class BudgetCheck:
    """A mask's latency in a measurement of its own, and the budget that it should keep.

    Attributes:
        constraint: The budget.
        latency: Time of one forward pass, in turn with the plain network.
        limit: The budget in milliseconds, by the times of this measurement.
        rounds: Number of times that the mask was timed.
        rounds_within: In how many of them its time was within the limit of the same round.
    """

    constraint: Constraint
    latency: Latency
    limit: float
    rounds: int
    rounds_within: int

    @property
    def kept(self) -> bool:
        """Whether the budget was kept in at least half of the rounds."""
        return 2 * self.rounds_within >= self.rounds

    @property
    def facts(self) -> dict[str, Any]:
        """What the ticket's provenance says of it."""
        return {
            "budget": str(self.constraint),
            "kept": self.kept,
            "ms": round(self.latency.ms, 6),
            "limit_ms": round(self.limit, 6),
            "over_plain": round(self.latency.over_plain, 6),
            "rounds": self.rounds,
            "rounds_within": self.rounds_within,
        }

    def __str__(self) -> str:
        verdict = "within the budget" if self.kept else "over the budget"
        advice = "" if self.kept else ": search with a smaller one"
        return (
            f"{self.constraint.quantity} of the ticket, measured again: {self.latency}; {verdict} "
            f"{self.constraint} ({self.limit:.3g} ms), which it kept in {self.rounds_within} of "
            f"{self.rounds} rounds{advice}"
        )


@torch.inference_mode()
def check_budget(
    network: MaskableNetwork, reward: Reward, mask: Mask, example: Any = None
) -> BudgetCheck | None:
    """Time a mask in turn with the plain network, and compare it with the reward's constraint.

    Args:
        network: The supernet's maskable network; left as it was.
        reward: The reward that was searched with.
        mask: One truth value per block.
        example: What the network is called with; ``None``: random images of the table's shape.

    Returns:
        ``None`` without a constraint on latency.

    Raises:
        ConfigError: The table of latencies was measured under other circumstances, so that another
            measurement does not tell about it.
    """
    constraint = reward.constraint
    if constraint is None or constraint.quantity not in LATENCIES:
        return None
    measured = reward.tables[constraint.quantity].measurement  # type: ignore[index]
    if measured is None:
        raise ConfigError("the table of latencies does not say how it was measured")
    if example is None:
        example = random_images(network.network, measured.input_shape)
    inputs = inputs_of(example)
    _require_same_circumstances(measured, device_of(inputs))
    none, full = (False,) * len(mask), (True,) * len(mask)
    masks = [none, mask, full if constraint.reference == "full" else none]
    forwards = under_masks(
        network.network, masks, inputs, compiled=constraint.quantity == "latency_compiled"
    )
    times = forward_ms_in_turn(forwards, inputs, measured.rounds)
    limits = list(map(constraint.limit, times[none], times[masks[-1]]))
    within = [constraint.excess(*pair) == 0.0 for pair in zip(times[mask], limits, strict=True)]
    return BudgetCheck(
        constraint=constraint,
        latency=Latency.of(times[mask], times[none]),
        limit=median(limits),
        rounds=len(within),
        rounds_within=sum(within),
    )


def first_within_budget(
    network: MaskableNetwork, reward: Reward, masks: Sequence[Mask], example: Any = None
) -> tuple[list[Mask], BudgetCheck | None]:
    """Time masks one after the other, until one keeps its budget.

    Args:
        network: The supernet's maskable network; left as it was.
        reward: The reward that was searched with.
        masks: Masks that keep the budget by the table, the best first.
        example: What the network is called with; ``None``: random images of the table's shape.

    Returns:
        The masks before it, which were over their budget, and the check of the one that keeps it.
        If none does, no mask and the first one's check; ``None`` without a budget on latency.

    Raises:
        ConfigError: As :func:`check_budget`.
    """
    checks: list[BudgetCheck | None] = []
    for number, mask in enumerate(masks):
        checks.append(check_budget(network, reward, mask, example))
        if checks[-1] is None or checks[-1].kept:
            return list(masks[:number]), checks[-1]
    return [], checks[0] if checks else None


def _require_same_circumstances(measured: Measurement, device: torch.device) -> None:
    before = (measured.device, measured.threads)
    now = (device_name(device), torch.get_num_threads())
    if before != now:
        texts = ["{} with {} threads".format(*one) for one in (before, now)]
        raise ConfigError(
            f"the table's latencies are those of {texts[0]}, but this is {texts[1]}: measure the "
            "ticket's there, by ean ticket cost"
        )
