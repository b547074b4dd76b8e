"""The cost of attention on a backbone: parameters and multiply-accumulates, module by module."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode

from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.attention import AttentionSpec, attention_options
from ean_transfer.backbones import build_backbone
from ean_transfer.search.cost.counting import attention_macs
from ean_transfer.ticket import zoo
from ean_transfer.ticket.parse import parse_options

NOT_THERE = "-"


@dataclass(frozen=True)
class Cost:
    """The cost of one network.

    Attributes:
        backbone: The backbone's name.
        attention: Name and options that are not the defaults; empty for the plain network.
        ticket: ``none``, ``full, block``, ``full, stage``, or a zoo ticket's name.
        parameters: Parameters of the whole backbone, without a head.
        macs: MACs of one forward of one image, as :func:`attention_macs` counts them.
    """

    backbone: str
    attention: str
    ticket: str
    parameters: int
    macs: int


@torch.no_grad()
def costs(backbone: str, attentions: Sequence[AttentionSpec], image_size: int) -> Iterator[Cost]:
    """Yield the plain network's cost, then each attention's: with all blocks, with zoo tickets.

    Args:
        backbone: The backbone's name, e.g. ``resnet50``.
        attentions: The attention modules.
        image_size: Side of the image in pixels.

    Raises:
        ConfigError: The backbone or an attention is unknown, or its options do not fit.
    """
    shape = (1, 3, image_size, image_size)
    plain = build_backbone(backbone).eval()
    parameters = sum(p.numel() for p in plain.parameters())
    with FlopCounterMode(display=False) as counter:
        plain(torch.zeros(shape))
    macs = counter.get_total_flops() // 2
    yield Cost(backbone, "", "none", parameters, macs)
    del plain
    for spec in attentions:
        for sharing in ("block", "stage"):
            net = build_backbone(backbone, spec, sharing)
            added = attention_macs(net, torch.zeros(shape))
            yield Cost(
                backbone,
                _title(spec),
                f"full, {sharing}",
                parameters + count_attention_parameters(net),
                macs + sum(added),
            )
        name, options = attention_options(spec)
        for title, ticket in zoo().items():
            fits = (ticket.backbone.name, ticket.attention) == (backbone, name)
            # The ticket's own sharing, and its options: with others it would be another network.
            if fits and ticket.attention_options.items() <= options.items():
                net = build_backbone(backbone, spec, ticket.sharing, ticket)
                connected = [macs for macs, bit in zip(added, ticket.mask, strict=True) if bit]
                yield Cost(
                    backbone,
                    _title(spec),
                    title,
                    parameters + count_attention_parameters(net),
                    macs + sum(connected),
                )


def cost_rows(of_one_backbone: Sequence[Cost]) -> list[list[str]]:
    """Rows of text with headings, one per attention: what each adds to the plain network."""
    plain, *others = of_one_backbone
    headings = ["full, block", "full, stage", "zoo ticket", "MACs, full", "zoo ticket"]
    rows = [
        [f"{plain.backbone}: parameters", *headings],
        ["plain", f"{plain.parameters:,}", "", "", f"{plain.macs / 1e6:,.1f} M", ""],
    ]
    for attention in dict.fromkeys(cost.attention for cost in others):
        by_ticket = {cost.ticket: cost for cost in others if cost.attention == attention}
        block, stage = by_ticket.pop("full, block"), by_ticket.pop("full, stage")
        zoo_ticket = next(iter(by_ticket.values()), None)
        parameters = [_parameters(cost, plain) for cost in (block, stage, zoo_ticket)]
        rows.append([attention, *parameters, _macs(stage, plain), _macs(zoo_ticket, plain)])
    return rows


def _parameters(cost: Cost | None, plain: Cost) -> str:
    if cost is None:
        return NOT_THERE
    added = cost.parameters - plain.parameters
    return f"+{added:,} ({added / plain.parameters:.2%})"


def _macs(cost: Cost | None, plain: Cost) -> str:
    if cost is None:
        return NOT_THERE
    added = cost.macs - plain.macs
    return f"+{added / 1e6:,.2f} M ({added / plain.macs:.2%})"


def _title(spec: AttentionSpec) -> str:
    name, options = attention_options(spec)
    _, defaults = attention_options(name)
    changed = [f"{key}={value}" for key, value in options.items() if defaults[key] != value]
    return " ".join([name, *changed])


def read_attention(text: str) -> dict[str, Any]:
    """Parse ``SE`` or ``SE:reduction=4,...`` to a config's dict.

    Raises:
        TicketError: An option is not of the form KEY=VALUE.
    """
    name, _, options = text.partition(":")
    return {"type": name, **parse_options(options.split(",") if options else [])}
