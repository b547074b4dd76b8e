"""VGG Image Annotator 1 and 2: its JSON (annotations or project) and its CSV."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ean_transfer.data.conversion.objects import (
    AnnotatedImage,
    Marked,
    box,
    ellipse,
    point,
    polygon,
)
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.tables import read_table

SHAPES = "region_shape_attributes"
"""A column of VIA's CSV."""


def read_via(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    An object's class is the attribute that ``settings.columns`` names as its label, or else its
    first attribute with a value.
    """
    for name, where, regions in _of_table(file) if content is None else _of_json(file, content):
        image = AnnotatedImage(name, where)
        for shape, attributes in regions:
            marked = _object(shape, _label(attributes, settings.columns.get("label")))
            if marked is None:
                left_out.add(f"regions of the shape {shape.get('name')}", name)
            else:
                image.objects.append(marked)
        yield image


_Regions = list[tuple[Mapping[str, Any], Mapping[str, Any]]]


def _of_json(file: Path, content: Any) -> Iterator[tuple[str, str, _Regions]]:
    for entry in content.get("_via_img_metadata", content).values():
        regions = entry.get("regions") or []
        regions = list(regions.values()) if isinstance(regions, dict) else regions  # VIA 1
        pairs = [(r["shape_attributes"], r.get("region_attributes") or {}) for r in regions]
        yield str(entry["filename"]), f"{file}, {entry['filename']}", pairs


def _of_table(file: Path) -> Iterator[tuple[str, str, _Regions]]:
    images: dict[str, tuple[str, str, _Regions]] = {}
    for row in read_table(file).rows:
        cells = row.cells
        name = cells["filename"]
        image = images.setdefault(name, (name, f"{file}, line {row.line}", []))
        shape = json.loads(cells[SHAPES])
        if shape:  # an image without regions has a line as well
            image[2].append((shape, json.loads(cells.get("region_attributes") or "{}")))
    yield from images.values()


def _label(attributes: Mapping[str, Any], wanted: str | None) -> str:
    values = [attributes.get(wanted)] if wanted else list(attributes.values())
    for value in values:
        # Check boxes: the name of each ticked one -> true.
        ticked = [name for name, on in value.items() if on] if isinstance(value, dict) else [value]
        if ticked and ticked[0]:
            return str(ticked[0]).strip()
    return ""


def _object(shape: Mapping[str, Any], label: str) -> Marked | None:
    kind = shape["name"]
    if kind == "point":
        return point(label, shape["cx"], shape["cy"])
    if kind == "circle":
        return ellipse(label, shape["cx"], shape["cy"], shape["r"], shape["r"])
    if kind == "ellipse":
        return ellipse(label, shape["cx"], shape["cy"], shape["rx"], shape["ry"])
    if kind == "rect":
        left, top = shape["x"], shape["y"]
        return box(label, left, top, left + shape["width"], top + shape["height"])
    if kind in ("polygon", "polyline", "polyshape"):
        corners = list(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
        return polygon(label, corners, has_area=kind != "polyline")
    return None
