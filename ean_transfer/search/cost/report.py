"""What one ticket costs on one network, beside the plain network: counted and measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from torch import Tensor, nn

from ean_transfer.analysis.latency import measure_latency
from ean_transfer.attachment.network import find_backbone
from ean_transfer.search.cost.counting import (
    attention_macs,
    attention_parameters,
    plain_macs,
    plain_parameters,
)
from ean_transfer.search.cost.table import Cost

_TITLES: dict[Cost, str] = {
    "params": "parameters",
    "macs": "MACs per image",
    "latency": "latency (ms)",
    "latency_compiled": "latency compiled (ms)",
}


@dataclass(frozen=True)
class TicketCost:
    """One cost of a network with a ticket.

    Attributes:
        cost: What is counted or measured; latencies are in ms.
        plain: Cost of the network without attention.
        ticket: Cost of the network with the ticket.
        over_plain: What the ticket adds, as a share of the plain network's: 0.05 is 5 % more. Of
            latencies the median over the rounds, each compared with the plain network's time in the
            same round.
        quartiles: First and third quartile of ``over_plain`` over the rounds; ``None`` if counted.
    """

    cost: Cost
    plain: float
    ticket: float
    over_plain: float
    quartiles: tuple[float, float] | None = None

    def row(self) -> list[str]:
        """The cells of a table: title, plain, ticket, per cent over plain."""
        title = _TITLES[self.cost]
        if self.quartiles is None:
            return [title, f"{self.plain:,}", f"{self.ticket:,}", f"{self.over_plain:+.2%}"]
        low, high = self.quartiles
        over_plain = f"{self.over_plain:+.1%} ({low:+.1%} to {high:+.1%})"
        return [title, f"{self.plain:.4g}", f"{self.ticket:.4g}", over_plain]


HEADINGS = ["", "plain", "with the ticket", "over plain"]
"""Headings of a table of :meth:`TicketCost.row`."""


def costs_of_ticket(
    model: nn.Module, images: Tensor, *, compiled: Sequence[bool] = (False,), rounds: int = 40
) -> list[TicketCost]:
    """Count parameters and multiply-accumulates of a model with a ticket, and measure its time.

    Args:
        model: A model with attention in it, e.g. what :func:`ean_transfer.attach` returned; its
            ticket is the one that it was built with.
        images: (N, C, H, W) images that the model is timed with, on its device.
            Multiply-accumulates are those of the first.
        compiled: Whether to time the model as it is, compiled by ``torch.compile``, or both.
        rounds: Number of times that it runs with and without the ticket.

    Raises:
        ConfigError: The model has no attention, or torch cannot compile it.
    """
    network = find_backbone(model)
    costs = [
        _counted("params", plain_parameters(network), sum(map(sum, attention_parameters(network)))),
        _counted("macs", plain_macs(network, images[:1]), sum(attention_macs(network, images[:1]))),
    ]
    none = (False,) * network.ticket.num_blocks
    for is_compiled in compiled:
        plain, own = measure_latency(
            model, images, [none, network.ticket], compiled=is_compiled, rounds=rounds
        )
        cost: Cost = "latency_compiled" if is_compiled else "latency"
        over_plain = own.over_plain, own.over_plain_quartiles
        costs.append(TicketCost(cost, plain.ms, own.ms, *over_plain))
    return costs


def _counted(cost: Cost, plain: int, added: int) -> TicketCost:
    return TicketCost(cost, plain, plain + added, added / plain)
