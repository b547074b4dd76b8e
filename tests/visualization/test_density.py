"""Heat maps, rings and captions over an image."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from ean_transfer.visualization.density import draw_density, draw_regions


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def test_rings_are_drawn_around_the_points():
    picture = draw_density(black(240, 400), None, [(100, 50)])
    assert picture.shape == (240, 400, 3)
    for row, column in [(50, 97), (50, 103), (47, 100), (53, 100)]:
        assert picture[row, column].min() > 200
    assert picture[50, 100].max() < 100
    rows, columns = np.nonzero(picture[..., 0])
    assert 90 < columns.min() <= columns.max() < 110
    assert 40 < rows.min() <= rows.max() < 60


def test_points_stay_in_their_pixel_when_a_small_image_is_enlarged():
    picture = draw_density(black(24, 24), np.zeros((3, 3)), [(23, 0)], count=1)
    assert picture.shape == (14 * 24 + 28, 14 * 24, 3)
    ring = picture[: 14 * 24].any(axis=2)
    assert ring[:14, 23 * 14 :].any()
    assert not ring[14:].any()
    assert not ring[:, : 23 * 14].any()


def test_rings_and_caption_grow_with_the_picture():
    picture = draw_density(black(1200, 1600), None, [(800, 600)], count=1)
    assert picture.shape == (1200 + 56, 1600, 3)
    ring = picture[:1200].any(axis=2)
    assert ring[600, 800 - 6] and ring[600, 800 + 6]
    assert not ring[600, 797:804].any()
    crowd = np.random.default_rng(0).uniform(0, 1000, (9000, 2))
    picture = draw_density(black(1200, 1600), None, [*crowd, (1300, 600)])
    assert picture[600, 1300 - 3].any()  # in a crowd rings stay small
    assert not picture[600, 1300 - 6].any()


def test_long_caption_fits_a_narrow_picture():
    picture = draw_density(black(2000, 330), None, count=123456, pred=123456.7)
    strip = picture[2000:].any(axis=2)
    assert strip.any()
    assert not strip[:, -4:].any()


def test_a_slim_picture_has_a_caption_that_can_be_read():
    picture = draw_density(black(2000, 20), None, count=3, pred=12.3)
    assert picture.shape == (16 * 2000 + 28, 320, 3)
    rows, columns = np.nonzero(picture[16 * 2000 :].any(axis=2))
    assert np.ptp(rows) >= 12 and np.ptp(columns) > 150


def test_side_by_side_shows_points_left_and_heat_right():
    picture = draw_density(black(240, 400), np.eye(30, 50), [(300, 50)], side_by_side=True)
    assert picture.shape == (240, 804, 3)
    left, right = picture[:, :400], picture[:, 404:]
    assert left[40:60, 290:310].any()
    left[40:60, 290:310] = 0
    assert not left.any()
    assert right[100, 100].any()
    assert not right[40:60, 290:310].any()


def test_drawing_leaves_its_inputs_and_takes_maps_that_are_not_finite():
    image, density = black(240, 400), np.full((30, 50), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = draw_density(image, density, [(9, 9)], pred=float("nan"))
    assert picture[240:].any()
    assert not picture[20:240].any()
    assert not image.any()


def test_drawing_is_an_rgb_picture_hot_where_the_density_is():
    image = np.zeros((240, 400, 3), np.uint8)
    density = np.zeros((30, 50), np.float32)
    density[5, 40] = 1
    picture = draw_density(image, density)
    assert picture.shape == (240, 400, 3)
    assert picture.dtype == np.uint8
    hot = picture[44, 324].astype(int)
    assert hot[0] > hot[2] + 50  # red, not blue
    assert not picture[200:, :100].any()  # nothing is drawn where nothing is counted
    captioned = draw_density(image, density, points=[(10, 10)], count=1, pred=1.04)
    assert captioned.shape == (268, 400, 3)
    assert captioned[10, 6:15].any()


def test_the_heat_is_where_the_cell_is_though_the_last_one_reaches_beyond_the_image():
    density = np.zeros((2, 13), np.float32)  # 390 pixels in cells of 32
    density[0, 9] = 1
    picture = draw_density(black(40, 390), density, cell=(32, 32))
    assert picture.shape == (40, 390, 3)
    heat = picture.astype(int).sum(axis=(0, 2))
    assert np.average(np.arange(390), weights=heat) == pytest.approx(9.5 * 32 - 0.5, abs=1)
    small = draw_density(black(20, 195), density, cell=(16, 16))
    assert small.shape == (40, 390, 3) and np.abs(small.astype(int) - picture).max() <= 1


def test_drawing_enlarges_small_images_and_takes_empty_maps():
    picture = draw_density(np.zeros((32, 32, 3), np.uint8), np.zeros((8, 8)), points=[], count=0)
    assert picture.shape == (348, 320, 3)


def test_regions_are_outlined_where_they_are_in_the_enlarged_picture() -> None:
    picture = np.full((120, 200, 3), 90, np.uint8)
    drawn = draw_regions(picture, {"": [[(10, 5), (40, 5), (40, 25), (10, 25)]]}, 4.0)
    changed = np.argwhere((drawn != picture).any(axis=2))
    top, left = changed.min(axis=0)
    bottom, right = changed.max(axis=0)
    assert np.abs([top - 20, left - 40, bottom - 100, right - 160]).max() <= 3
    assert (drawn[30:90, 60:150] == picture[30:90, 60:150]).all()
    assert draw_regions(picture, {}) is picture


def test_names_of_regions_at_the_edges_stay_in_the_picture() -> None:
    picture = np.full((120, 200, 3), 90, np.uint8)
    for x, y in ((195, 5), (195, 115), (5, 115), (230, 150), (-30, -30)):
        shown = [
            draw_regions(picture, {name: [[(x, y), (x, y), (x, y)]]}) for name in ("", "entrance")
        ]
        rows, columns = (shown[0] != shown[1]).any(axis=2).nonzero()
        assert np.ptp(columns) > 50 and np.ptp(rows) > 9
