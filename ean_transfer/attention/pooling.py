"""Adaptive average pooling as a matrix product, which exports to ONNX at any image size."""

from __future__ import annotations

import torch
from torch import Tensor


def averaging_matrix(cells: int, size: int, like: Tensor) -> Tensor:
    """(cells, size): each row averages one cell of an axis of ``size`` pixels.

    Cell i of k covers the pixels from ``floor(i size / k)`` to below ``ceil((i + 1) size / k)``, as
    in torch's adaptive pools; cells overlap where k does not divide the size.

    Args:
        cells: k.
        size: Pixels of the axis.
        like: Of the device and dtype that the matrix gets.
    """
    cell = torch.arange(cells, device=like.device)[:, None]
    pixel = torch.arange(size, device=like.device)
    inside = (pixel >= cell * size // cells) & (pixel * cells < (cell + 1) * size)
    inside = inside.to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)
