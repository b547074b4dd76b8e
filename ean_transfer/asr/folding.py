"""Folds attention that is the same for all images, or is made so, into the layers before it."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from ean_transfer.asr.stripes import attention_values
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError

_Model = TypeVar("_Model", bound=nn.Module)


@torch.no_grad()
def fold(model: _Model) -> _Model:
    """Fold the re-parameterised attention of a model into its layers.

    In each block with such attention, the last affine layer of the branch is multiplied by the
    attention's weights v, channel by channel: ``gamma' = gamma v``, ``beta' = beta v`` for a
    BatchNorm, whose running statistics stay; ``W'_o = v_o W_o``, ``b'_o = v_o b_o`` for a
    convolution. The modules and psi are removed; a normal attention after them stays. The result is
    the same function in evaluation mode.

    Args:
        model: A model with a ticketed backbone at any place; it is left as it is.

    Returns:
        A copy; its backbone's ticket is the old one's :meth:`~ean_transfer.Ticket.folded`.

    Raises:
        ConfigError: There is no ticketed backbone, or nothing to fold.
    """
    if not find_backbone(model).ticket.to_fold:
        raise ConfigError(
            "nothing to fold: the network's ticket has no connection to fold; train with asr=True"
        )
    folded = copy.deepcopy(model)
    backbone = find_backbone(folded)
    for stage in backbone.stages:
        for block, scale in zip(stage, stage.scales(), strict=True):
            if scale is not None:
                _multiply(block, scale)
        stage.remove_asr()
    backbone.ticket = backbone.ticket.folded()
    return folded


@torch.no_grad()
def fold_means(
    model: _Model, batches: Iterable[Any], blocks: Iterable[int] | None = None
) -> _Model:
    """Replace some of a model's attention by its mean over images, and fold that.

    Unlike :func:`fold`, this changes what the network computes: the less, the less the attention
    depends on the image. In a stage of DIA a folded block no longer takes part in the LSTM, so the
    values of later blocks change, unless these are folded too.

    Args:
        model: A model with a ticketed backbone whose attention gives one weight per channel; it is
            left as it is.
        batches: The calibration images, as :func:`~ean_transfer.asr.attention_values` takes them.
        blocks: Connected blocks to fold, counted over all stages from 0; all by default.

    Returns:
        A copy, whose ticket no longer connects these blocks.

    Raises:
        ConfigError: A block is not connected, or its attention does not give one weight per
            channel.
    """
    values = attention_values(model, batches)
    chosen = list(values) if blocks is None else list(blocks)
    if missing := [block for block in chosen if block not in values]:
        raise ConfigError(
            f"block {missing[0]} carries no attention to fold: expected blocks from {list(values)}"
        )
    return fold_constants(model, {block: values[block].mean(dim=0) for block in chosen})


@torch.no_grad()
def fold_constants(model: _Model, constants: Mapping[int, Tensor]) -> _Model:
    """Replace the attention of some blocks by constant weights, and fold these.

    Args:
        model: A model with a ticketed backbone; it is left as it is.
        constants: Block, counted over all stages from 0 -> weights (C,).

    Returns:
        A copy, whose ticket no longer connects these blocks.
    """
    folded = copy.deepcopy(model)
    backbone = find_backbone(folded)
    mask = list(backbone.mask)  # and not the ticket's: a mask that was set later is kept
    for index, block in enumerate(block for stage in backbone.stages for block in stage):
        if index in constants:
            _multiply(block, constants[index])
            mask[index] = False
    backbone.disconnect(mask)
    return folded


def _multiply(block: Any, scale: Tensor) -> None:
    """Multiply the branch's last layer, a BatchNorm or a convolution, by one value per channel."""
    layer = block.last_affine()
    for parameter in (layer.weight, layer.bias):
        if parameter is not None:
            parameter.mul_(scale.reshape(-1, *[1] * (parameter.dim() - 1)))
