"""Dilations block by block, as mmsegmentation's ResNets have them and mmpretrain's do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import nn

from ean_transfer.errors import ConfigError


def set_block_dilations(
    stages: Sequence[Any],
    dilations: Sequence[int],
    contract_dilation: bool,
    multi_grid: Sequence[int] | None,
) -> None:
    """Set the dilation of each block's 3x3 convolution.

    Args:
        stages: The network's stages, which iterate over their blocks.
        dilations: Dilation of each stage.
        contract_dilation: Whether the first block of a dilated stage has half of its dilation. Its
            convolution still sees the grid of the stage before.
        multi_grid: Dilation of each of the last stage's blocks (Chen et al. 2017, arXiv
            1706.05587); ``None`` leaves the stage's own.

    Raises:
        ConfigError: ``multi_grid`` does not have one value for each of the last stage's blocks.
    """
    if multi_grid is not None and len(multi_grid) != len(stages[-1]):
        raise ConfigError(
            f"multi_grid has one dilation for each of the last stage's {len(stages[-1])} blocks, "
            f"found {tuple(multi_grid)}"
        )
    for stage, dilation in zip(stages, dilations, strict=True):
        first = dilation // 2 if contract_dilation and dilation > 1 else dilation
        values = [first, *[dilation] * (len(stage) - 1)]
        if multi_grid is not None and stage is stages[-1]:
            values = list(multi_grid)
        for block, value in zip(stage, values, strict=True):
            _set_dilation(block, value)


def _set_dilation(block: nn.Module, dilation: int) -> None:
    # A basic block has two such convolutions, and dilates the first one.
    layer = next(
        layer
        for layer in block.children()
        if isinstance(layer, nn.Conv2d) and layer.kernel_size == (3, 3)
    )
    layer.dilation = layer.padding = (dilation, dilation)
    block.dilation = dilation  # type: ignore[assignment]  # no tensor, as mmpretrain keeps it
