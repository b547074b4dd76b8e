"""Density maps sum to the count, for points, sigmas, strides and sizes of all kinds."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ean_transfer.crowd_counting.density import adaptive_sigmas, density_map

FRACTION = st.one_of(st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0]))
SIZE = st.integers(1, 70)
SIGMA = st.floats(0.3, 30)


@settings(max_examples=200)
@given(
    fractions=st.lists(st.tuples(FRACTION, FRACTION), max_size=30),
    height=SIZE,
    width=SIZE,
    stride=st.integers(1, 16),
    data=st.data(),
)
def test_sum_is_the_count_for_points_anywhere(fractions, height, width, stride, data):
    points = [(x * width, y * height) for x, y in fractions]  # 0 and 1 are the border itself
    one_each = st.lists(SIGMA, min_size=len(points), max_size=len(points))
    sigma = data.draw(st.one_of(SIGMA, st.just("adaptive"), one_each))
    density = density_map(points, (height, width), stride=stride, sigma=sigma)
    assert density.dtype == np.float32
    assert density.shape == (math.ceil(height / stride), math.ceil(width / stride))
    assert density.min(initial=0) >= 0
    assert density.sum() == pytest.approx(len(points), abs=1e-3)


@pytest.mark.parametrize("sigma", [1e-6, 0.01, 1e4, 1e300])
def test_even_an_absurd_sigma_keeps_the_count(sigma):
    density = density_map([(0, 0), (20.3, 7), (30, 20)], (20, 30), stride=4, sigma=sigma)
    assert density.sum() == pytest.approx(3, abs=1e-5)


@pytest.mark.parametrize("sigma", [4.0, "adaptive"])
def test_crowd_of_a_large_image_is_exact(sigma):
    points = np.random.default_rng(0).uniform((0, 0), (3000, 2000), size=(4000, 2))
    density = density_map(points, (2000, 3000), sigma=sigma)
    assert density.sum(dtype=np.float64) == pytest.approx(4000, abs=1e-3)


@pytest.mark.parametrize("sigma", [2.0, 4.0])
def test_equals_a_gaussian_filter_of_dots_summed_over_cells(sigma):
    dots = np.zeros((96, 128))
    points = np.array([(40, 40), (64, 50), (90, 41)])  # far from the border
    dots[points[:, 1], points[:, 0]] = 1
    reference = gaussian_filter(dots, sigma, mode="constant")
    reference = reference.reshape(12, 8, 16, 8).sum(axis=(1, 3))
    # scipy samples the Gaussian at pixel centres, density_map integrates it: almost the same
    np.testing.assert_allclose(density_map(points, (96, 128), 8, sigma), reference, atol=5e-3)


def test_narrow_gaussian_falls_into_the_cell_of_its_pixel():
    density = density_map([(7, 0), (8, 15)], (16, 16), stride=8, sigma=0.01)
    np.testing.assert_array_equal(density, [[1, 0], [0, 1]])


@given(st.lists(st.tuples(st.floats(0, 63), st.floats(0, 31)), max_size=8))
@settings(max_examples=30)
def test_flip_of_the_points_is_a_flip_of_the_map(points):
    array = np.array(points, dtype=np.float32).reshape(-1, 2)
    flipped = array * (-1, 1) + (63, 0)  # albumentations' flip
    np.testing.assert_allclose(
        density_map(flipped, (32, 64)), density_map(array, (32, 64))[:, ::-1], atol=1e-5
    )


@pytest.mark.parametrize("sigmas", [[4] * 4, [0.4, 9, 2, 2]])
def test_map_is_the_sum_of_the_maps_of_its_points(sigmas):
    points = np.array([(3.2, 4.5), (30, 20), (31, 20), (40, 39)])
    alone = [density_map(points[i : i + 1], (40, 50), 4, sigmas[i]) for i in range(4)]
    np.testing.assert_allclose(density_map(points, (40, 50), 4, sigmas), sum(alone), atol=1e-6)


@settings(max_examples=30)
@given(
    points=st.lists(st.tuples(st.integers(0, 63), st.integers(0, 63)), max_size=20),
    adaptive=st.booleans(),
)
def test_crop_of_the_points_is_a_crop_of_the_map(points, adaptive):
    sigmas = adaptive_sigmas(points) if adaptive else np.full(len(points), 2.0)
    whole = np.array(points).reshape(-1, 2)
    # The window of 4 sigmas, in whole cells, must not reach over the edge of the crop.
    reach = (4 * sigmas + 8)[:, None]
    inside = ((whole > 15 + reach) & (whole < 48 - reach)).all(axis=1)
    outside = ((whole < 16 - reach) | (whole > 47 + reach)).any(axis=1)
    known = inside | outside
    density = density_map(whole[known], (64, 64), 8, sigmas[known])
    cropped = density_map(whole[inside] - 16, (32, 32), 8, sigmas[inside])
    np.testing.assert_allclose(density[2:6, 2:6], cropped, atol=1e-6)


def test_wide_gaussian_does_not_make_the_narrow_ones_pay():
    points = np.random.default_rng(0).uniform(0, 1000, size=(5000, 2))
    sigmas = np.full(len(points), 1.0)
    sigmas[0] = 1000.0
    tracemalloc.start()
    density = density_map(points, (1000, 1000), stride=1, sigma=sigmas)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert density.sum(dtype=np.float64) == pytest.approx(5000, abs=1e-3)
    # The map needs 8 + 4 MB and the last Gaussian 8; 5000 windows of 1000 cells would need 40 each.
    assert peak < 35e6


def brute_force_sigmas(points, neighbours, beta, lone=15.0, minimum=0.5):
    sigmas = []
    for index, point in enumerate(points):
        distances = sorted(math.dist(point, other) for other in np.delete(points, index, axis=0))
        nearest = distances[:neighbours]
        sigmas.append(max(beta * sum(nearest) / len(nearest), minimum) if nearest else lone)
    return sigmas


@settings(max_examples=60)
@given(
    points=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 9)), max_size=12),
    neighbours=st.integers(1, 5),
    beta=st.sampled_from([0.1, 0.3, 1.0]),
)
def test_adaptive_sigmas_are_the_mean_distance_to_the_nearest_others(points, neighbours, beta):
    array = np.array(points, dtype=float).reshape(-1, 2)
    sigmas = adaptive_sigmas(array, neighbours, beta)
    assert sigmas.dtype == np.float32
    np.testing.assert_allclose(sigmas, brute_force_sigmas(array, neighbours, beta), rtol=1e-6)


def test_adaptive_sigmas_of_few_or_coincident_points():
    assert adaptive_sigmas([]).shape == (0,)
    np.testing.assert_array_equal(adaptive_sigmas([(5, 5)]), [15])
    np.testing.assert_array_equal(adaptive_sigmas([(5, 5)], lone=4), [4])
    np.testing.assert_allclose(adaptive_sigmas([(0, 0), (10, 0)], neighbours=3), [3, 3])
    np.testing.assert_array_equal(adaptive_sigmas([(5, 5)] * 4), [0.5] * 4)
    np.testing.assert_array_equal(adaptive_sigmas([(5, 5)] * 4, minimum=2), [2] * 4)


def test_adaptive_sigmas_grow_with_the_image():
    points = np.random.default_rng(0).uniform(0, 500, (30, 2))
    np.testing.assert_allclose(adaptive_sigmas(3 * points), 3 * adaptive_sigmas(points), rtol=1e-5)


def test_adaptive_map_is_the_map_of_the_adaptive_sigmas():
    points = np.random.default_rng(0).uniform(0, 60, (12, 2))
    np.testing.assert_array_equal(
        density_map(points, (60, 60), 4, "adaptive", neighbours=2, beta=0.5),
        density_map(points, (60, 60), 4, adaptive_sigmas(points, 2, 0.5)),
    )


@pytest.mark.parametrize("empty", [[], np.zeros((0, 2)), np.zeros((0, 0))])
def test_no_points_give_an_empty_map(empty):
    density = density_map(empty, (20, 30))
    assert density.shape == (3, 4)
    assert not density.any()


@pytest.mark.parametrize(
    ("points", "named"),
    [
        ([(math.nan, 1)], r"\(nan, 1\) in point 0"),
        ([(1, math.inf)], r"\(1, inf\)"),
        ([(5, 5), (-1, 1)], r"30 x 20 .*\(-1, 1\) in point 1 \(1 of 2 outside"),
        ([(31, 1)], r"\(31, 1\)"),
        ([(1, 2, 3)], "N x 2"),
        ([1, 2], "N x 2"),
        (["a"], "'a'"),
    ],
)
def test_bad_points_are_refused(points, named):
    with pytest.raises(ValueError, match=named):
        density_map(points, (20, 30))


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"stride": 0}, "stride.* 0"),
        ({"sigma": 0}, "sigma.* found 0"),
        ({"sigma": math.nan}, "sigma.* found nan"),
        ({"sigma": [1, -2]}, r"sigma.* found \[1, -2\]"),
        ({"sigma": [1, 2, 3]}, r"2 points, found \[1, 2, 3\]"),
        ({"sigma": "adaptve"}, "'adaptve'"),
        ({"sigma": "adaptive", "neighbours": 0}, "neighbours.* 0"),
        ({"sigma": "adaptive", "beta": math.nan}, "beta.* nan"),
    ],
)
def test_bad_options_are_refused(options, named):
    with pytest.raises(ValueError, match=named):
        density_map([(1, 1), (2, 3)], (20, 30), **options)
