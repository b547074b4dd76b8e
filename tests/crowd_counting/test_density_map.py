import math
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.ndimage import gaussian_filter

from ean_transfer.crowd_counting import density_map

FRACTION = st.floats(0, 1)
SIZE = st.integers(1, 70)


@settings(max_examples=150, deadline=None)
@given(
    fractions=st.lists(st.tuples(FRACTION, FRACTION), max_size=30),
    height=SIZE,
    width=SIZE,
    stride=st.sampled_from([1, 2, 3, 4, 8, 16]),
    sigma=st.sampled_from([0.01, 0.5, 4.0, 15.0]),
)
def test_sum_is_the_count_for_points_anywhere(fractions, height, width, stride, sigma):
    points = [(x * width, y * height) for x, y in fractions]  # 0 and 1 are the border itself
    density = density_map(points, (height, width), stride=stride, sigma=sigma)
    assert density.dtype == np.float32
    assert density.shape == (math.ceil(height / stride), math.ceil(width / stride))
    assert density.min(initial=0) >= 0
    assert density.sum() == pytest.approx(len(points), abs=1e-3)


def test_corners_of_an_odd_size_keep_their_mass():
    corners = [(0, 0), (101, 0), (0, 67), (101, 67), (100, 66)]
    for point in corners:
        assert density_map([point], (67, 101)).sum() == pytest.approx(1, abs=1e-6)


def test_crowd_of_a_large_image_is_exact_and_quick():
    generator = np.random.default_rng(0)
    points = generator.uniform((0, 0), (6000, 4000), size=(12_000, 2))
    start = time.perf_counter()
    density = density_map(points, (4000, 6000))
    assert time.perf_counter() - start < 2
    assert density.sum() == pytest.approx(12_000, abs=1e-3)


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
@settings(max_examples=30, deadline=None)
def test_flip_of_the_points_is_a_flip_of_the_map(points):
    array = np.array(points, dtype=np.float32).reshape(-1, 2)
    flipped = array * (-1, 1) + (63, 0)  # albumentations' flip
    np.testing.assert_allclose(
        density_map(flipped, (32, 64)), density_map(array, (32, 64))[:, ::-1], atol=1e-5
    )


def test_map_is_the_sum_of_the_maps_of_its_points():
    points = np.array([(3.2, 4.5), (30, 20), (31, 20)])
    alone = sum(density_map([point], (40, 50), 4) for point in points)
    np.testing.assert_allclose(density_map(points, (40, 50), 4), alone, atol=1e-6)


@pytest.mark.parametrize("empty", [[], np.zeros((0, 2)), np.zeros((0, 0))])
def test_no_points_give_an_empty_map(empty):
    density = density_map(empty, (20, 30))
    assert density.shape == (3, 4)
    assert not density.any()


@pytest.mark.parametrize(
    ("points", "problem"),
    [
        ([(math.nan, 1)], "finite"),
        ([(1, math.inf)], "finite"),
        ([(5, 5), (-1, 1)], r"found \(-1, 1\) in point 1"),
        ([(31, 1)], "30 x 20"),
        ([(1, 21)], "1 of 1 outside"),
        ([(1, 2, 3)], "N x 2"),
        ([1, 2], "N x 2"),
        (["a"], "N x 2"),
    ],
)
def test_bad_points_are_refused(points, problem):
    with pytest.raises(ValueError, match=problem):
        density_map(points, (20, 30))


@pytest.mark.parametrize(
    "options",
    [{"stride": 0}, {"stride": 1.5}, {"sigma": 0}, {"sigma": math.nan}, {"sigma": "adaptive"}],
)
def test_bad_options_are_refused(options):
    with pytest.raises(ValueError, match="expected"):
        density_map([], (20, 30), **options)
