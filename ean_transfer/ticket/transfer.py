"""The mask of a ticket moved to another attention, backbone or depth."""

from __future__ import annotations

import re

from ean_transfer.ticket.model import Option, Sharing, TicketError
from ean_transfer.ticket.ticket import Ticket


def carry(
    ticket: Ticket,
    *,
    backbone: str | None = None,
    attention: str | None = None,
    options: dict[str, Option] | None = None,
    sharing: Sharing | None = None,
) -> Ticket:
    """Carry a mask over to another attention or backbone of the same blocks per stage.

    Options belong to an attention: another attention starts from its own defaults. If anything
    changes, the provenance says which ticket the mask was carried from.

    Args:
        ticket: The ticket whose mask is kept.
        backbone: Name of the other backbone; ``None``: the ticket's.
        attention: Name of the other attention; ``None``: the ticket's.
        options: Options of the attention; ``None``: the ticket's if the attention is the same.
        sharing: ``"stage"`` or ``"block"``; ``None``: the ticket's.

    Returns:
        The ticket itself if nothing changes.

    Raises:
        TicketError: The other backbone is unknown or has other blocks per stage.
    """
    attention = attention or ticket.attention
    if options is None:
        options = ticket.attention_options if attention == ticket.attention else {}
    # The same backbone need not be a known one: the ticket says its blocks.
    spec = ticket.backbone
    if backbone is not None and backbone != spec.name:
        spec = Ticket.none(backbone).backbone
    carried = ticket.replace(
        backbone=spec,
        attention=attention,
        attention_options=options,
        sharing=sharing or ticket.sharing,
        provenance={},
    )
    if carried.replace(provenance=ticket.provenance) == ticket:
        return ticket
    origin = {"id": ticket.id, **ticket.model_dump(include={"attention", "sharing", "provenance"})}
    return carried.replace(
        provenance={"carried_from": {"backbone": ticket.backbone.name, **origin}}
    )


def fit(ticket: Ticket, backbone: str) -> Ticket:
    """Fit a ticket to another depth of its backbone's family.

    In each stage, block j of n takes the bit of the block at the same relative place, j / (n - 1)
    of the way from the first block to the last. The sparsity is kept roughly, as stages change
    their lengths.

    This is a guess that only a training on the other network can confirm, since nothing was
    searched there. So it is never done unasked, and the new ticket's provenance says where it came
    from, and how.

    Args:
        ticket: The ticket to fit.
        backbone: The other depth, e.g. ``resnet101`` for a ticket of ``resnet50``.

    Returns:
        The ticket itself if the backbone is its own.

    Raises:
        TicketError: The backbone is unknown, of another family, or has another number of stages.
    """
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
        return tuple(map(nearest, groups, target.blocks))

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
        provenance={"fitted_from": origin, "rule": "nearest"},
    )


def nearest(bits: str, length: int) -> str:
    """A stage's bits for another number of blocks; the first and the last bit stay at the ends."""
    if length == 1:
        return bits[0]  # of the block that changes the shape
    step = (len(bits) - 1) / (length - 1)
    return "".join(bits[int(index * step + 0.5)] for index in range(length))


def _family(backbone: str) -> str:
    """A backbone's name without its depth, which is its first number."""
    return re.sub(r"\d+", "N", backbone, count=1)
