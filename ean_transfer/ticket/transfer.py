"""A ticket moved to another depth of its backbone's family, by a rule that has a name."""

from __future__ import annotations

import re
from collections.abc import Callable

from ean_transfer.ticket import Ticket, TicketError


def _nearest(bits: str, length: int) -> str:
    """Each block takes the bit of the block at the same relative place; the ends stay the ends."""
    if length == 1:
        return bits[0]  # the block that changes the shape
    step = (len(bits) - 1) / (length - 1)
    return "".join(bits[int(index * step + 0.5)] for index in range(length))


RULES: dict[str, Callable[[str, int], str]] = {"nearest": _nearest}
"""Rule -> what gives a stage's bits for another number of blocks."""


def fit(ticket: Ticket, backbone: str, rule: str = "nearest") -> Ticket:
    """Fit a ticket to another depth of the same family.

    A guess that only a training on the other network can confirm: nothing was searched there. So
    it is never done unasked, and the new ticket's provenance says where it came from, and how.

    Args:
        ticket: The ticket; its sparsity is kept roughly, as stages change their lengths.
        backbone: The other depth, e.g. ``resnet101`` for a ticket of ``resnet50``.
        rule: ``nearest``: in each stage, block j of n takes the bit of the block at the same
            relative place, j / (n - 1) of the way from the first block to the last.

    Returns:
        The ticket itself if the backbone is its own.

    Raises:
        TicketError: For an unknown rule, or a backbone that is unknown, of another family, or has
            another number of stages.
    """
    if rule not in RULES:
        raise TicketError(f"expected a fitting rule of {', '.join(RULES)}, found {rule!r}")
    if backbone == ticket.backbone.name:
        return ticket
    target = Ticket.none(backbone).backbone
    stages = ticket.stages
    if _family(backbone) != _family(ticket.backbone.name) or len(target.blocks) != len(stages):
        raise TicketError(
            f"a ticket fits other depths of its own family: this one is for "
            f"{ticket.backbone.name}, expected another depth of it, found {backbone}"
        )

    def fitted(groups: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(map(RULES[rule], groups, target.blocks))

    origin = {
        "backbone": ticket.backbone.name,
        "id": ticket.id,
        "stages": list(stages),
        "provenance": ticket.provenance,
    }
    return ticket.replace(
        backbone=target,
        stages=fitted(stages),
        asr=fitted(ticket.asr),
        provenance={"fitted_from": origin, "rule": rule},
    )


def _family(backbone: str) -> str:
    """A backbone's name without its depth, which is its first number."""
    return re.sub(r"\d+", "N", backbone, count=1)
