"""Density maps: a map whose sum is the count, made from points at the network's stride."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
from scipy.special import ndtr

from ean_transfer.crowd_counting.points import check_points

TRUNCATE = 4.0  # a Gaussian's window reaches this many sigmas, as scipy.ndimage's does


def density_map(
    points: npt.ArrayLike,
    image_size: tuple[int, int],
    stride: int = 8,
    sigma: float = 4.0,
) -> npt.NDArray[np.float32]:
    """One Gaussian a point, summed; the map adds up to the number of points.

    Every cell holds the exact integral of the Gaussian over its ``stride x stride`` pixels (a
    Gaussian is separable, so this is a product of two differences of the normal distribution
    function), and each Gaussian is cut at the image's edge and scaled to 1. So nothing leaks over
    the border, and no map is ever resized. Time and memory are linear in points and cells.

    Density maps: Lempitsky and Zisserman, "Learning To Count Objects in Images", NIPS 2010; with a
    fixed sigma of 4 or 15 pixels since Zhang et al., CVPR 2016. Note that some code calls 15 the
    *size* of the kernel, with a sigma of 4.

    Args:
        points: (N, 2) of (x, y) in pixels, see :mod:`ean_transfer.crowd_counting.points`; N may
            be 0.
        image_size: (H, W) in pixels.
        stride: Pixels a cell, along both axes.
        sigma: Standard deviation of the Gaussian in pixels of the image (not in cells).

    Returns:
        float32 of shape (ceil(H / stride), ceil(W / stride)): objects a cell. Where the stride does
        not divide the image, the last row and column of cells are cut by its edge.

    Raises:
        ValueError: points are not N x 2, not finite or outside the image; or stride, sigma or
            image_size are not positive.
    """
    height, width = image_size
    if height < 1 or width < 1:
        raise ValueError(f"expected image_size as positive (H, W), found {image_size}")
    if stride < 1 or stride != int(stride):
        raise ValueError(f"expected stride as a positive whole number of pixels, found {stride!r}")
    if isinstance(sigma, str) or not (math.isfinite(sigma) and sigma > 0):
        raise ValueError(f"expected sigma as a positive number of pixels, found {sigma!r}")
    checked = check_points(points, image_size).astype(np.float64)

    first_x, shares_x = _axis_shares(checked[:, 0], width, int(stride), sigma)
    first_y, shares_y = _axis_shares(checked[:, 1], height, int(stride), sigma)
    rows, columns = shares_y.shape[1], shares_x.shape[1]
    density = np.zeros((math.ceil(height / stride), math.ceil(width / stride)))
    for top, left, share_y, share_x in zip(first_y, first_x, shares_y, shares_x, strict=True):
        density[top : top + rows, left : left + columns] += share_y[:, None] * share_x
    return density.astype(np.float32)


def _axis_shares(
    coordinates: npt.NDArray[np.float64], size: int, stride: int, sigma: float
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """How each Gaussian is shared out among the cells of one axis.

    Returns:
        The first cell of each point's window, (N,), and the shares of the window's cells, (N, K);
        the shares of a point add up to 1.
    """
    cells = math.ceil(size / stride)
    window = min(math.ceil(2 * TRUNCATE * sigma / stride) + 1, cells)
    # At x = W, half a pixel past the edge, a narrow Gaussian would have no mass left to scale.
    centres = np.clip(coordinates, -0.5, size - 0.5)
    first = np.floor((centres + 0.5 - TRUNCATE * sigma) / stride).astype(np.intp)
    first = np.clip(first, 0, cells - window)
    edges = (first[:, None] + np.arange(window + 1)) * stride - 0.5
    edges = np.minimum(edges, size - 0.5)
    shares = np.diff(ndtr((edges - centres[:, None]) / sigma), axis=1)
    return first, shares / shares.sum(axis=1, keepdims=True)
