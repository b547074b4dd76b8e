"""Points and regions of a density map."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from ean_transfer.crowd_counting.density import density_map
from ean_transfer.crowd_counting.places import count_in, peak_points, read_regions
from ean_transfer.errors import DataError

SIZE = (96, 160)
POINTS = np.array([[20.0, 20.0], [90.0, 30.0], [140.0, 80.0], [37.0, 71.0]], np.float32)


@pytest.fixture
def density() -> np.ndarray:
    """Four objects in cells of 4 x 4 pixels."""
    return np.asarray(density_map(POINTS, SIZE, stride=4, sigma=4.0), np.float32)


def test_the_peaks_are_the_objects(density: np.ndarray) -> None:
    points = peak_points(density, 4.2, (4, 4), SIZE)
    assert points.shape == (4, 2)
    for point in POINTS:
        assert np.linalg.norm(points - point, axis=1).min() < 1.5  # pixels
    assert peak_points(density, 1.6, (4, 4), SIZE).shape == (2, 2)
    assert peak_points(0 * density, 3, (4, 4), SIZE).shape == (0, 2)
    assert peak_points(density, -1.0, (4, 4), SIZE).shape == (0, 2)
    for diverged in (np.nan, np.inf):
        assert peak_points(diverged + density, diverged, (4, 4), SIZE).shape == (0, 2)


def test_points_are_in_pixels_of_the_image_and_inside_it(density: np.ndarray) -> None:
    points = peak_points(density, 4, (8, 6), (192, 240))
    factor = np.array([1.5, 2.0])
    for point in POINTS:
        assert np.linalg.norm((points + 0.5) / factor - 0.5 - point, axis=1).min() < 1.5
    corner = np.zeros((3, 3), np.float32)
    corner[2, 2] = 1
    assert peak_points(corner, 1, (4, 4), (9, 9)).tolist() == [[8.0, 8.0]]


def rectangle(left: float, top: float, right: float, bottom: float) -> list[tuple[float, float]]:
    return [(left, top), (right, top), (right, bottom), (left, bottom)]


def test_regions_count_what_is_in_them(density: np.ndarray) -> None:
    total = float(density.sum())
    left, right = [rectangle(0, 0, 60, 96)], [rectangle(60, 0, 160, 96)]
    counts = [count_in(density, region, (4, 4), SIZE) for region in (left, right)]
    assert counts[0] == pytest.approx(2, abs=0.02) and sum(counts) == pytest.approx(total)
    with_hole = [rectangle(0, 0, 160, 96), rectangle(0, 0, 60, 96)]
    assert count_in(density, with_hole, (4, 4), SIZE) == pytest.approx(counts[1])


@pytest.mark.parametrize(
    "halves",
    [
        (rectangle(0, 0, 20.5, 40), rectangle(20.5, 0, 56, 40)),
        ([(0, 0), (56, 0), (0, 40)], [(56, 0), (56, 40), (0, 40)]),
    ],
    ids=("between pixels", "from corner to corner"),
)
def test_what_lies_on_a_common_side_is_in_one_region(halves: tuple) -> None:
    density = np.ones((5, 7), np.float32)
    counts = [count_in(density, [half], (8, 8), (40, 56)) for half in halves]
    assert sum(counts) == pytest.approx(35)


def test_a_cell_at_the_border_counts_by_its_part_inside() -> None:
    density = np.ones((2, 2), np.float32)
    assert count_in(density, [rectangle(0, 0, 6, 8)], (4, 4), (8, 8)) == pytest.approx(3)
    triangle = [[(0.0, 0.0), (8.0, 0.0), (0.0, 8.0)]]
    assert count_in(density, triangle, (4, 4), (8, 8)) == pytest.approx(2, abs=0.15)


def test_cells_that_the_images_edge_cuts_count_in_full() -> None:
    density = np.arange(1, 10, dtype=np.float32).reshape(3, 3)
    halves = [rectangle(0, 0, 20, 10), rectangle(0, 10, 20, 20)]  # of an image of 20 x 20
    counts = [count_in(density, [half], (8, 8), (20, 20)) for half in halves]
    assert sum(counts) == pytest.approx(45)
    last = [rectangle(18, 16, 20, 20)]  # the right half of the 4 x 4 pixels of the last cell
    assert count_in(density, last, (8, 8), (20, 20)) == pytest.approx(9 / 2)


CORNERS = [[0, 0], [10, 0], [10, 5]]
LABELME = {
    "shapes": [
        {"label": "door", "points": CORNERS, "shape_type": "polygon"},
        {"label": "door", "points": [[1, 2], [3, 4]], "shape_type": "rectangle"},
        {"label": "all", "points": [[1, 2], [3, 2], [3, 4], [1, 4]], "shape_type": "rectangle"},
    ]
}
GEOJSON = {
    "type": "FeatureCollection",
    "features": [
        {
            "type": "Feature",
            "properties": {"name": "square"},
            "geometry": {"type": "Polygon", "coordinates": [CORNERS, [[1, 1], [2, 1], [2, 2]]]},
        },
        {
            "type": "Feature",
            "properties": None,
            "geometry": {"type": "MultiPolygon", "coordinates": [[CORNERS], [CORNERS]]},
        },
    ],
}


@pytest.mark.parametrize(
    ("data", "rings"),
    [
        (LABELME, {"door": 1, "door 2": 1, "all": 1}),
        (GEOJSON, {"square": 2, "region 2": 2}),
        ({"left": CORNERS, "right": CORNERS}, {"left": 1, "right": 1}),
        ([CORNERS, CORNERS], {"region 1": 1, "region 2": 1}),
    ],
    ids=["labelme", "GeoJSON", "names", "list"],
)
def test_regions_are_read_in_every_form(tmp_path: Path, data, rings: dict[str, int]) -> None:
    file = tmp_path / "regions.json"
    file.write_text(json.dumps(data))
    regions = read_regions(file)
    assert {name: len(region) for name, region in regions.items()} == rings
    first = next(iter(regions.values()))
    assert [tuple(corner) for corner in first[0]] == [tuple(corner) for corner in CORNERS]


def test_regions_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    file = tmp_path / "regions.json"
    file.write_text(json.dumps({"left": CORNERS}), encoding="utf-8-sig")
    assert list(read_regions(file)) == ["left"]


@pytest.mark.parametrize(
    "text",
    ["no json", "3", "[]", "{}", '{"a": [[0, 0], [1, 1]]}', '{"a": [[0, 0], [1, "x"], [1, 1]]}',
     '{"shapes": [{"points": []}]}',
     '{"shapes": [{"label": "a", "shape_type": "rectangle", "points": [[1], [2]]}]}',
     '[[[0, 0], [1, NaN], [1, 1]]]'],
)  # fmt: skip
def test_what_is_no_region_is_one_line(tmp_path: Path, text: str) -> None:
    file = tmp_path / "regions.json"
    file.write_text(text)
    with pytest.raises(DataError, match=r"regions\.json: expected") as error:
        read_regions(file)
    assert "\n" not in str(error.value)
