"""Adaptive average pooling as a matrix product, which can be exported to ONNX at any image size."""

from __future__ import annotations

import torch
from torch import Tensor


def averaging_matrix(cells: int, size: int, like: Tensor) -> Tensor:
    """A matrix of which each row averages one cell of an axis.

    Cell i of k covers the pixels from ``floor(i size / k)`` to below ``ceil((i + 1) size / k)``, as
    in torch's adaptive pools; cells overlap where k does not divide the size.

    Args:
        cells: Number k of cells.
        size: Number of pixels along the axis.
        like: Tensor whose device and dtype the matrix gets.

    Returns:
        (cells, size).
    """
    cell = torch.arange(cells, device=like.device)[:, None]
    pixel = torch.arange(size, device=like.device)
    inside = (pixel >= cell * size // cells) & (pixel * cells < (cell + 1) * size)
    inside = inside.to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def cell_averages(side: int, x: Tensor) -> Tensor:
    """A matrix of which each row averages one cell of an image, cells and pixels row by row.

    Args:
        side: Number k of cells along each axis.
        x: (N, C, H, W), whose size, device and dtype the matrix is for.

    Returns:
        (k * k, H * W).
    """
    rows, columns = (averaging_matrix(side, size, x) for size in x.shape[2:])
    return (rows[:, None, :, None] * columns[None, :, None, :]).flatten(2).flatten(0, 1)
