"""Label maps over images, and the legend of their colours."""

from __future__ import annotations

import numpy as np
import pytest

from ean_transfer.visualization.labels import draw_legend, draw_prediction, draw_segmentation

PALETTE = [[0, 0, 0], [200, 0, 0], [0, 0, 200]]


def test_ignored_pixels_stay_uncoloured_and_small_pictures_are_enlarged():
    image = np.full((10, 20, 3), 100, dtype=np.uint8)
    labels = np.full((10, 20), 255)
    labels[:5] = 1
    picture = draw_segmentation(image, labels, PALETTE, opacity=0.5)
    assert picture.shape == (190, 380, 3)
    assert picture[0, 0].tolist() == [150, 50, 50] and picture[-1, -1].tolist() == [100] * 3
    line = draw_segmentation(np.zeros((1, 900, 3), np.uint8), np.zeros((1, 900), int), PALETTE)
    assert line.shape == (1, 900, 3)
    large = draw_segmentation(image, np.zeros((300, 200), int), PALETTE)
    assert large.shape == (300, 200, 3)


@pytest.mark.parametrize(("height", "width"), [(8, 8), (300, 20), (240, 320), (1500, 1000)])
def test_a_legend_shows_the_classes_present_and_fits_any_picture(height: int, width: int):
    labels = np.zeros((height, width), dtype=np.uint8)
    labels[: height // 2] = 2
    image = np.full((height, width, 3), 90, dtype=np.uint8)
    picture = draw_prediction(image, labels, ("floor", "wall", "window frame"), PALETTE)
    plain = draw_segmentation(image, labels, PALETTE)
    assert picture.shape[1] == plain.shape[1]
    legend = picture[plain.shape[0] :]
    assert 15 < len(legend) < max(80, 0.25 * len(plain))
    assert (legend == PALETTE[2]).all(axis=-1).any()
    assert not (legend == PALETTE[1]).all(axis=-1).any()
    assert (legend > 200).all(axis=-1).any()  # letters


def test_a_legend_has_columns_where_they_fit_and_none_where_there_is_nothing():
    names, colours = [f"class {i}" for i in range(6)], [[i, 9, 9] for i in range(6)]
    wide, narrow = draw_legend(names, colours, 800), draw_legend(names, colours, 100)
    assert len(narrow) > 4 * len(wide)
    assert draw_legend([], [], 50).shape == (0, 50, 3)
