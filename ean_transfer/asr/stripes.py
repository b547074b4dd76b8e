"""How far attention values depend on the image: the stripes of Zhong et al. 2023.

Drawn as a matrix of images x channels, the values of a block form stripes if they hardly depend on
the image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.network import evaluating, find_backbone
from ean_transfer.attention import ChannelAttention
from ean_transfer.errors import ConfigError

if TYPE_CHECKING:
    from ean_transfer.backbones import TicketBackbone


@torch.no_grad()
def attention_values(model: nn.Module, batches: Iterable[Any]) -> dict[int, Tensor]:
    """The attention's weights for each image, in evaluation mode.

    Args:
        model: A model with a ticketed backbone; its mode is restored.
        batches: Image tensors (N, 3, H, W) for a bare backbone, or what the model's ``test_step``
            takes, e.g. the batches of a data loader.

    Returns:
        Connected block, counted over all stages from 0 -> (images, C).

    Raises:
        ConfigError: No block is connected, the attention does not give one weight per channel, or
            it is attached to a network of another library.
    """
    backbone = find_backbone(model)
    if not backbone.runs_in_steps:
        raise ConfigError(
            "expected one of the toolkit's own backbones, such as TicketResNet, to read attention "
            f"values from, found {backbone.backbone_name}, to which attention is attached"
        )
    with evaluating(model), _recorded(backbone) as weights:
        for batch in batches:
            step: Any = model if isinstance(batch, Tensor) else model.test_step
            step(batch)
    if not weights:
        return {}
    # The connected blocks call their attention in turn, each once per forward.
    connected = [block for block, bit in enumerate(backbone.mask) if bit]
    return {
        block: torch.cat(weights[turn :: len(connected)]) for turn, block in enumerate(connected)
    }


def stripe_scores(values: dict[int, Tensor]) -> dict[int, float]:
    """Each block's standard deviation over the images relative to the mean, averaged over channels.

    0 is a perfect stripe: the attention is a constant vector.

    Args:
        values: The result of :func:`attention_values` for at least two images.
    """
    # The bound only matters for a channel that is switched off for all images.
    return {
        block: float((weights.std(dim=0) / weights.mean(dim=0).clamp(min=1e-12)).mean())
        for block, weights in values.items()
    }


@contextmanager
def _recorded(backbone: TicketBackbone) -> Iterator[list[Tensor]]:
    """Yield a list that gets the weights (N, C) of each attention call; on exit recording ends."""
    modules = {
        stage.attention_of(block)
        for stage in backbone.stages
        for block, bit in zip(stage, stage.connected, strict=True)
        if bit
    }
    others = [type(module) for module in modules if not isinstance(module, ChannelAttention)]
    if others or not modules:
        raise ConfigError(
            "the network has no attention to look at: expected modules with one weight per "
            f"channel, found {others[0].__name__ if others else 'a ticket without connections'}"
        )
    weights: list[Tensor] = []

    def record(attention: Any, inputs: tuple[Tensor, Any], _: Any) -> None:
        branch, state = inputs
        # Computed a second time: the forward gives the product with the branch only.
        weights.append(attention.weights(attention.pool(branch), state)[0])

    handles = [module.register_forward_hook(record) for module in modules]
    try:
        yield weights
    finally:
        for handle in handles:
            handle.remove()
