"""The target of a counter: from points, a density map at the network's stride that sums to N."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
import numpy.typing as npt
from pydantic import SkipValidation
from scipy.spatial import cKDTree
from scipy.special import ndtr

from ean_transfer.crowd_counting.points import as_points, check_points
from ean_transfer.io.checked import Positive, PositiveNumber, checked_arguments

TRUNCATE = 4.0  # a Gaussian's window reaches this many sigmas, as scipy.ndimage's does
LONE_SIGMA = 15.0  # pixels; the usual fixed sigma for sparse crowds (ShanghaiTech B)
MIN_SIGMA = 0.5  # pixels; along each axis two thirds of such a Gaussian lie within one pixel
FLAT = 1e3  # image sides; such a Gaussian is flat, and a larger sigma would only lose digits


@checked_arguments
def density_map(
    points: SkipValidation[npt.ArrayLike],
    image_size: SkipValidation[tuple[int, int]],
    stride: Positive = 8,
    sigma: SkipValidation[float | Literal["adaptive"] | npt.ArrayLike] = 4.0,
    neighbours: int = 3,
    beta: float = 0.3,
) -> npt.NDArray[np.float32]:
    """Sum of one Gaussian per point; the map adds up to the number of points.

    Every cell holds the exact integral of the Gaussian over its ``stride x stride`` pixels (a
    Gaussian is separable, so this is a product of two differences of the normal distribution
    function), and each Gaussian is cut at the image's edge and scaled to 1. So nothing leaks over
    the border, and no map is ever resized.

    Time is linear in the cells of the map and of the points' windows (4 sigmas to each side, within
    the image), memory in the cells of the map and the sides of the windows. With adaptive sigmas
    the windows together are linear in the map and the points, wherever these lie: a place of the
    plane is nearer than the k-th neighbour to at most 6 k points, k in each of six sectors of 60
    degrees around it, so only few windows can be wide.

    Density maps: Lempitsky and Zisserman, "Learning To Count Objects in Images", NIPS 2010; with a
    fixed sigma of 4 or 15 pixels or an adaptive one since Zhang et al., CVPR 2016. Note that some
    code calls 15 the *size* of the kernel, with a sigma of 4.

    Args:
        points: (N, 2) of (x, y) in pixels, see :mod:`ean_transfer.crowd_counting.points`; N may
            be 0.
        image_size: (H, W) in pixels.
        stride: Pixels per cell, along both axes.
        sigma: Standard deviation of the Gaussians in pixels of the image (not in cells): one number
            for all, an array (N,), or ``"adaptive"`` for :func:`adaptive_sigmas` of these points.
        neighbours: Argument of :func:`adaptive_sigmas`; not read with other sigmas.
        beta: Argument of :func:`adaptive_sigmas`; not read with other sigmas.

    Returns:
        float32 of shape (ceil(H / stride), ceil(W / stride)): objects per cell. Where the stride
        does not divide the image, the last row and column of cells are cut by its edge.

    Raises:
        ConfigError: The stride or an argument of adaptive sigmas is not positive.
        ValueError: Points are not N x 2, not finite or outside the image; or sigmas are not
            positive, or not one per point.
    """
    height, width = image_size
    centres = check_points(points, image_size).astype(np.float64)
    if isinstance(sigma, str) and sigma == "adaptive":
        sigma = adaptive_sigmas(centres, neighbours, beta)
    sigmas = np.minimum(_one_per_point(sigma, len(centres)), FLAT * max(image_size))

    shape = (math.ceil(height / stride), math.ceil(width / stride))
    density = np.zeros(shape)
    windows = np.minimum(np.ceil(2 * TRUNCATE * sigmas / stride).astype(np.intp) + 1, max(shape))
    # Points are grouped by the size of their window: one wide Gaussian must not widen the arrays of
    # all the others.
    order = np.argsort(windows, kind="stable")
    for group in np.split(order, np.flatnonzero(np.diff(windows[order])) + 1):
        window = int(windows[group].max(initial=1))
        x, y, of_group = centres[group, 0], centres[group, 1], sigmas[group, None]
        first_x, shares_x = _axis_shares(x, width, stride, of_group, window)
        first_y, shares_y = _axis_shares(y, height, stride, of_group, window)
        rows, columns = shares_y.shape[1], shares_x.shape[1]
        for top, left, share_y, share_x in zip(first_y, first_x, shares_y, shares_x, strict=True):
            density[top : top + rows, left : left + columns] += share_y[:, None] * share_x
    return density.astype(np.float32)


@checked_arguments
def adaptive_sigmas(
    points: SkipValidation[npt.ArrayLike],
    neighbours: Positive = 3,
    beta: PositiveNumber = 0.3,
    *,
    lone: PositiveNumber = LONE_SIGMA,
    minimum: PositiveNumber = MIN_SIGMA,
) -> npt.NDArray[np.float32]:
    """Geometry-adaptive sigmas: beta times a point's mean distance to its nearest other points.

    In a dense crowd that distance grows with the size of a head. Measure it on the whole image: a
    crop hides neighbours. From Zhang et al., "Single-Image Crowd Counting via Multi-Column
    Convolutional Neural Network", CVPR 2016, with its beta of 0.3.

    Args:
        points: (N, 2) of (x, y) in pixels; N may be 0.
        neighbours: Number of other points averaged over; all others if there are fewer.
        beta: Sigma as a share of the distance.
        lone: Sigma in pixels of a point without any other.
        minimum: Smallest sigma in pixels, since points that coincide are at distance 0.

    Returns:
        float32 (N,), in pixels.

    Raises:
        ConfigError: An argument is not positive.
        ValueError, TypeError: Points are not N x 2 numbers.
    """
    array = as_points(points).astype(np.float64)
    if len(array) < 2:
        return np.full(len(array), lone, dtype=np.float32)
    others = min(neighbours, len(array) - 1)
    # The nearest point in the tree is the point itself, or one that coincides with it: distance 0.
    distances, _ = cKDTree(array).query(array, k=others + 1)
    return np.maximum(beta * distances[:, 1:].mean(axis=1), minimum).astype(np.float32)


def _one_per_point(sigma: float | npt.ArrayLike, count: int) -> npt.NDArray[np.float64]:
    """Sigmas (N,), each of them positive."""
    sigmas = np.asarray(sigma, dtype=np.float64)
    positive = np.isfinite(sigmas) & (sigmas > 0)
    if sigmas.shape not in ((), (count,)) or not positive.all():
        raise ValueError(
            "expected sigma as a positive number of pixels, or as one for each of the "
            f"{count} points, found {sigma!r:.80}"
        )
    return np.broadcast_to(sigmas, count)


def _axis_shares(
    coordinates: npt.NDArray[np.float64],
    size: int,
    stride: int,
    sigma: npt.NDArray[np.float64],
    window: int,
) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.float64]]:
    """Share of each Gaussian in the cells along one axis.

    Args:
        coordinates: (N,) in pixels.
        size: Pixels of the axis.
        stride: Pixels per cell.
        sigma: (N, 1) in pixels.
        window: Number of cells that is enough for each Gaussian; the axis may have fewer.

    Returns:
        The first cell of each point's window, (N,), and the shares of the window's cells, (N, K)
        with K at most ``window``; the shares of a point add up to 1.
    """
    cells = math.ceil(size / stride)
    window = min(window, cells)
    # At x = W, half a pixel past the edge, a narrow Gaussian would have no mass left to scale.
    centres = np.clip(coordinates, -0.5, size - 0.5)[:, None]
    first = np.floor((centres + 0.5 - TRUNCATE * sigma) / stride).astype(np.intp)
    first = np.clip(first, 0, cells - window)
    edges = np.minimum((first + np.arange(window + 1)) * stride - 0.5, size - 0.5)
    # Gaussians are cut within the outer cells as well, so that a flipped point gives a flipped map.
    reach = np.clip((edges - centres) / sigma, -TRUNCATE, TRUNCATE)
    shares = np.diff(ndtr(reach), axis=1)
    return first[:, 0], shares / shares.sum(axis=1, keepdims=True)
