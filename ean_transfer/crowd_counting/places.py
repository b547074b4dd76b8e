"""Where a density map counts: single objects as points, and the count within regions."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from matplotlib.path import Path as Outline
from pydantic import Field, FiniteFloat, TypeAdapter, ValidationError
from scipy.ndimage import correlate, maximum_filter

from ean_transfer.crowd_counting.points import Points, clamp_points
from ean_transfer.errors import DataError
from ean_transfer.io.checked import first_problem

Ring = Annotated[list[tuple[FiniteFloat, FiniteFloat]], Field(min_length=3)]
"""Corners (x, y) of a polygon, in pixels from the image's upper left corner."""
Region = list[Ring]
"""One or several rings; what lies within two of them, such as a hole, is outside."""

_RINGS: TypeAdapter[Region] = TypeAdapter(Annotated[Region, Field(min_length=1)])
_PARTS = 8  # a cell at a region's border is cut into this many parts, across and down
# Pixels (x, y) from a part's middle to the place that is looked at. Middles lie on half pixels,
# where sides of regions pass as well: what is on a common side of two regions would be in both.
_ASIDE = (3.1e-5, 1.7e-5)


def peak_points(
    density: npt.NDArray[np.float32],
    count: float,
    cell: tuple[float, float],
    size: tuple[int, int],
) -> Points:
    """The objects of a density map as points: its highest peaks, as many as it counts.

    A peak is a cell that no neighbour exceeds; its point is the centre of mass of the 3 x 3 cells
    around it. Where objects stand closer than the map resolves, there are fewer peaks than objects.

    Args:
        density: (h, w), objects per cell.
        count: Number of objects, rounded to the number of points; of a count that is not finite, as
            of a network that has diverged, there are none.
        cell: Height and width of a cell, in pixels of the image.
        size: (H, W) of the image in pixels.

    Returns:
        (x, y) of each point in pixels of the image, highest peak first; see
        :mod:`~ean_transfer.crowd_counting.points`.
    """
    if not math.isfinite(count):
        return np.zeros((0, 2), dtype=np.float32)
    cells = np.maximum(density, 0).astype(np.float64)
    rows, columns = np.nonzero((cells == maximum_filter(cells, 3)) & (cells > 0))
    order = np.argsort(-cells[rows, columns], kind="stable")[: max(0, round(count))]
    rows, columns = rows[order], columns[order]
    offsets = np.array([[-1.0, 0.0, 1.0]] * 3)
    mass = correlate(cells, np.ones((3, 3)), mode="constant")[rows, columns]
    shifts = [
        correlate(cells, weights, mode="constant")[rows, columns] / mass
        for weights in (offsets, offsets.T)
    ]
    centres = np.stack((columns + shifts[0], rows + shifts[1]), axis=1)
    return clamp_points(((centres + 0.5) * cell[::-1] - 0.5).astype(np.float32), size)


def count_in(
    density: npt.NDArray[np.float32],
    region: Region,
    cell: tuple[float, float],
    size: tuple[int, int],
) -> float:
    """The number of objects within a region; of a cell at its border, the part within.

    Args:
        density: (h, w), objects per cell.
        region: The region, in pixels of the image.
        cell: Height and width of a cell, in pixels of the image.
        size: (H, W) of the image in pixels, at whose edge the last cells are cut.
    """
    width = density.shape[1]
    rows, columns = map(_parts_of_cells, density.shape, cell, size)
    total = 0.0
    for row, strip in enumerate(rows):  # all at once would take gigabytes
        x, y = np.meshgrid(columns + _ASIDE[0], strip + _ASIDE[1])
        inside = np.zeros(x.size, dtype=bool)
        for ring in region:
            inside ^= Outline(ring).contains_points(np.stack((x.ravel(), y.ravel()), axis=1))
        share = inside.reshape(_PARTS, width, _PARTS).mean(axis=(0, 2))
        total += float((share * density[row]).sum())
    return total


def _parts_of_cells(cells: int, cell: float, size: int) -> npt.NDArray[np.float64]:
    """The middles of the parts of each cell along one axis, (cells, _PARTS) in pixels."""
    edges = np.minimum(np.arange(cells + 1) * cell, size)[:, None]
    return edges[:-1] + (np.arange(_PARTS) + 0.5) / _PARTS * np.diff(edges, axis=0)


def read_regions(file: str | os.PathLike[str]) -> dict[str, Region]:
    """Read regions by name.

    Args:
        file: A JSON file: labelme's; GeoJSON with polygons, whose ``name`` is in their properties;
            ``{NAME: [[x, y], ...]}``; or a list of polygons, which are called ``region 1`` ...

    Raises:
        DataError: The file cannot be read, or holds something else.
    """
    try:
        data = json.loads(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        raise DataError(f"{file}: expected regions as JSON, cannot read it ({error})") from error
    try:
        named = [(str(name), _RINGS.validate_python(rings)) for name, rings in _named_rings(data)]
    except (ValidationError, ValueError, TypeError, KeyError, AttributeError) as error:
        problem = first_problem(error) if isinstance(error, ValidationError) else error
        raise DataError(
            f"{file}: expected polygons with at least three corners [x, y], as labelme, GeoJSON, "
            f"{{NAME: [[x, y], ...]}} or a list, found something else ({problem})"
        ) from error
    regions: dict[str, Region] = {}
    for name, rings in named:
        unique, number = name, 2
        while unique in regions:
            unique, number = f"{name} {number}", number + 1
        regions[unique] = rings
    if not regions:
        raise DataError(f"{file}: expected at least one region, found none")
    return regions


def _named_rings(data: Any) -> list[tuple[Any, Any]]:
    if isinstance(data, list):
        return [(f"region {number}", [ring]) for number, ring in enumerate(data, start=1)]
    if "shapes" in data:
        return [(shape["label"], [_labelme_ring(shape)]) for shape in data["shapes"]]
    if data.get("type") == "FeatureCollection":
        features = enumerate(data["features"], start=1)
        return [(_feature_name(feature, number), _rings(feature)) for number, feature in features]
    return [(name, [ring]) for name, ring in data.items()]


def _labelme_ring(shape: Mapping[str, Any]) -> Any:
    corners = shape["points"]
    # Two opposite corners; other programs that write this format give all four.
    if shape.get("shape_type") == "rectangle" and len(corners) == 2:
        (left, top), (right, bottom) = corners
        return [[left, top], [right, top], [right, bottom], [left, bottom]]
    return corners


def _feature_name(feature: Mapping[str, Any], number: int) -> Any:
    properties = feature.get("properties") or {}
    return properties.get("name") or feature.get("id") or f"region {number}"


def _rings(feature: Mapping[str, Any]) -> Any:
    geometry = feature["geometry"]
    if geometry["type"] == "MultiPolygon":
        return [ring for polygon in geometry["coordinates"] for ring in polygon]
    return geometry["coordinates"]
