"""How far attention values depend on the image: the stripes of Zhong et al. 2023.

Drawn as a matrix image x channel, a block's values form stripes where they hardly do.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.network import evaluating, find_backbone
from ean_transfer.attention import ChannelAttention
from ean_transfer.backbones import TicketBackbone
from ean_transfer.errors import ConfigError


@torch.no_grad()
def attention_values(model: nn.Module, batches: Iterable[Any]) -> dict[int, Tensor]:
    """The attention's weights for each image, in evaluation mode.

    Args:
        model: With a ticketed backbone; its mode is put back.
        batches: Image tensors (N, 3, H, W) for a bare backbone, or what the model's ``test_step``
            takes, e.g. a data loader's batches.

    Returns:
        Connected block, counted over all stages from 0 -> (images, C).

    Raises:
        ConfigError: If no block is connected, or the attention gives no weight a channel.
    """
    backbone = find_backbone(model)
    with evaluating(model), _recorded(backbone) as calls:
        for batch in batches:
            step: Any = model if isinstance(batch, Tensor) else model.test_step
            step(batch)
    return {block: torch.cat(found) for block, found in calls.items() if found}


def stripe_scores(values: dict[int, Tensor]) -> dict[int, float]:
    """Each block's standard deviation over the images relative to the mean, averaged over channels.

    0 is a perfect stripe: the attention is a constant vector.

    Args:
        values: As :func:`attention_values` gives them, of at least two images.
    """
    return {
        block: float((found.std(dim=0) / found.mean(dim=0).clamp(min=1e-12)).mean())
        for block, found in values.items()
    }


@contextmanager
def _recorded(backbone: TicketBackbone) -> Iterator[dict[int, list[Tensor]]]:
    """Within: every connected block's weights are noted, by block."""
    connected = [index for index, bit in enumerate(backbone.mask) if bit]
    if not connected:
        raise ConfigError("the network has no attention to look at: its ticket connects no block")
    calls: dict[int, list[Tensor]] = {index: [] for index in connected}
    patched: list[ChannelAttention] = []
    first = 0
    try:
        for stage in backbone.stages:
            used: dict[Any, list[int]] = {}
            for offset, (block, bit) in enumerate(zip(stage, stage.connected, strict=True)):
                if bit:
                    used.setdefault(stage.attention_of(block), []).append(first + offset)
            for attention, blocks in used.items():
                _note(attention, [calls[index] for index in blocks])
                patched.append(attention)
            first += len(stage)
        yield calls
    finally:
        for attention in patched:
            del attention.weights  # the instance's; the class's is there again


def _note(attention: Any, places: list[list[Tensor]]) -> None:
    """Note what each call gives; a shared module is called by its blocks in turn."""
    if not isinstance(attention, ChannelAttention):
        raise ConfigError(
            f"{type(attention).__name__} gives no weight a channel: its values differ from "
            "position to position"
        )
    original, turn = attention.weights, 0

    def weights(pooled: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        nonlocal turn
        found, state = original(pooled, state)
        places[turn % len(places)].append(found.detach().clone())
        turn += 1
        return found, state

    attention.weights = weights  # type: ignore[method-assign]
