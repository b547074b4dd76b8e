"""Arguments of a ticketed backbone that do not fit together, and those that have no effect."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from mmengine.logging import print_log

if TYPE_CHECKING:
    from ean_transfer.backbones.ticketed import TicketBackbone


def problems(
    init: str,
    memory: str,
    asr: bool | str,
    num_stages: int,
    strides: Sequence[int],
    dilations: Sequence[int],
    out_indices: Sequence[int],
    frozen_stages: int,
) -> Iterator[str]:
    """Yield what is wrong with the arguments of a :class:`TicketBackbone`.

    mmpretrain asserts the numbers of stages without a message, or fails within a layer.
    """
    if init not in ("default", "identity"):
        yield f"init is 'default' or 'identity', found {init!r}"
    if memory not in ("default", "lean"):
        yield f"memory is 'default' or 'lean', found {memory!r}"
    if asr not in (False, True, "before"):
        yield f"asr is False, True or 'before', found {asr!r}"
    for what, values in (("strides", strides), ("dilations", dilations)):
        if len(values) != num_stages:
            yield (
                f"{what} has one value for each of the {num_stages} stages (num_stages), found "
                f"{tuple(values)}"
            )
    if not out_indices or not all(0 <= index < num_stages for index in out_indices):
        yield f"out_indices count stages from 0 to {num_stages - 1}, found {tuple(out_indices)}"
    if frozen_stages > num_stages:
        yield f"frozen_stages is at most {num_stages}, the number of stages, found {frozen_stages}"


def log_unused_bits(network: TicketBackbone) -> None:
    """Log which of the ticket's stages no output depends on, and which are never trained."""
    used = max(network.out_indices) + 1
    for kind, stages in (("", network.ticket.stages), ("asr ", network.ticket.asr)):
        for number, bits in enumerate(stages, start=1):
            if "1" not in bits:
                continue
            if number <= network.frozen_stages:
                print_log(
                    f"{network.backbone_name}: stage {number} is frozen, its attention "
                    f"({kind}{bits}) with it: load weights trained with the ticket",
                    logger="current",
                )
            if number > used:
                print_log(
                    f"{network.backbone_name}: the network's outputs end at stage {used}, so the "
                    f"ticket's bits for stage {number} ({kind}{bits}) are not used",
                    logger="current",
                )
