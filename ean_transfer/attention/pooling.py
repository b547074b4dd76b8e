"""Adaptive average pooling as a matrix product, which can be exported to ONNX at any image size."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import torch
from torch import Tensor


def averaging_matrix(levels: Sequence[int], size: int, like: Tensor) -> Tensor:
    """A matrix of which each row averages one cell of an axis.

    Cell i of k covers the pixels from ``floor(i size / k)`` to below ``ceil((i + 1) size / k)``, as
    in torch's adaptive pools; cells overlap where k does not divide the size.

    Args:
        levels: Numbers k of cells, one pool after the other.
        size: Number of pixels along the axis.
        like: Tensor whose device and dtype the matrix gets.

    Returns:
        (sum of all k, size).
    """
    pairs = [(cell, cells) for cells in levels for cell in range(cells)]
    cell, cells = torch.tensor(pairs, device=like.device).T[..., None]
    pixel = torch.arange(size, device=like.device)
    inside = (pixel >= cell * size // cells) & (pixel * cells < (cell + 1) * size)
    inside = inside.to(like.dtype)
    return inside / inside.sum(dim=1, keepdim=True)


def pyramid_averages(levels: Sequence[int], x: Tensor) -> Tensor:
    """A matrix of which each row averages one cell of an image, cells and pixels row by row.

    Args:
        levels: Numbers k of cells along each axis, one pool after the other.
        x: (N, C, H, W), whose size, device and dtype the matrix is for.

    Returns:
        (sum of all k * k, H * W).
    """
    places: list[tuple[int, ...]] = []  # each cell's row in the matrices of the two axes
    start = 0
    for cells in levels:
        places += product(range(start, start + cells), repeat=2)
        start += cells
    row, column = torch.tensor(places, device=x.device).T
    rows = averaging_matrix(levels, x.shape[2], x)[row]
    columns = averaging_matrix(levels, x.shape[3], x)[column]
    return (rows[:, :, None] * columns[:, None, :]).flatten(1)
