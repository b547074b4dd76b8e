"""VGG Image Annotator: JSON (annotations or project) and CSV of VIA 1 and 2, projects of VIA 3."""

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
    turned,
)
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.tables import read_table

SHAPES = "region_shape_attributes"
"""A column of VIA's CSV."""
_VIA3_SHAPES = {
    1: ("point", "cx", "cy"),
    2: ("rect", "x", "y", "width", "height"),
    3: ("circle", "cx", "cy", "r"),
    4: ("ellipse", "cx", "cy", "rx", "ry"),
    5: ("polyline",),
    6: ("polyline",),
    7: ("polygon",),
}
"""VIA 3's number of a shape -> its name in VIA 2, and the names of its numbers there."""


def read_via(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    An object's class is the attribute that ``settings.columns`` names as its label, or else its
    first attribute with a value.
    """
    if content is None:
        images = _of_table(file)
    elif is_via3(content):
        images = _of_project(file, content)
    else:
        images = _of_json(file, content)
    for name, where, regions in images:
        image = AnnotatedImage(name, where)
        for shape, attributes in regions:
            marked = _object(shape, _label(attributes, settings.columns.get("label")))
            if marked is None:
                left_out.add(f"regions of the shape {shape.get('name')}", name)
            else:
                image.objects.append(marked)
        yield image


def is_via3(content: Any) -> bool:
    """Whether the content of a JSON file is a project of VIA 3."""
    return isinstance(content, dict) and {"project", "metadata", "view"} <= content.keys()


_Regions = list[tuple[Mapping[str, Any], Mapping[str, Any]]]


def _of_json(file: Path, content: Any) -> Iterator[tuple[str, str, _Regions]]:
    for entry in content.get("_via_img_metadata", content).values():
        regions = entry.get("regions") or []
        regions = list(regions.values()) if isinstance(regions, dict) else regions  # VIA 1
        pairs = [(r["shape_attributes"], r.get("region_attributes") or {}) for r in regions]
        yield str(entry["filename"]), f"{file}, {entry['filename']}", pairs


def _of_project(file: Path, content: Any) -> Iterator[tuple[str, str, _Regions]]:
    """The images of a VIA 3 project, with their regions as VIA 2 writes them.

    A region belongs to a view, whose first file is its image.
    """
    regions: dict[str, _Regions] = {view: [] for view in content["view"]}
    for entry in content["metadata"].values():
        if entry["xy"]:  # otherwise it describes a file, or a part of a video
            attributes = {
                content["attribute"][key]["aname"]: _chosen(content["attribute"][key], value)
                for key, value in entry["av"].items()
            }
            # A region with a time is in a video, whatever its shape.
            shape = {"name": "in a video"} if entry["z"] else _shape_of_numbers(*entry["xy"])
            regions[str(entry["vid"])].append((shape, attributes))
    for view, pairs in regions.items():
        name = str(content["file"][str(content["view"][view]["fid_list"][0])]["fname"])
        yield name, f"{file}, {name}", pairs


def _chosen(attribute: Mapping[str, Any], value: str) -> str:
    """What was typed, or the text of the first option that was chosen."""
    return str((attribute.get("options") or {}).get(value.partition(",")[0], value))


def _shape_of_numbers(number: int, *xy: float) -> Mapping[str, Any]:
    """A shape of VIA 3 as VIA 2 writes it."""
    name, *keys = _VIA3_SHAPES.get(number, (f"number {number}",))
    if keys:
        return {"name": name, **dict(zip(keys, xy, strict=True))}
    return {"name": name, "all_points_x": xy[::2], "all_points_y": xy[1::2]}


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
        upright = ellipse(label, shape["cx"], shape["cy"], shape["rx"], shape["ry"])
        return turned(upright, shape.get("theta") or 0)
    if kind == "rect":
        left, top = shape["x"], shape["y"]
        return box(label, left, top, left + shape["width"], top + shape["height"])
    if kind in ("polygon", "polyline", "polyshape"):
        corners = list(zip(shape["all_points_x"], shape["all_points_y"], strict=True))
        return polygon(label, corners, has_area=kind != "polyline")
    return None
