"""CVAT's XML "for images 1.1": points, boxes, ellipses, polygons, bitmaps and skeletons."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from math import cos, radians, sin
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

import numpy as np

from ean_transfer.data.conversion.areas import Bitmap, pixels_of_runs
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


def read_cvat(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    Each point of a points shape is an object. Shapes are painted in CVAT's order (``z_order``).
    """
    tracks = images = 0
    for _, element in ElementTree.iterparse(file):
        if element.tag == "track":
            tracks += 1
        if element.tag != "image":
            continue
        images += 1
        size = (int(element.attrib["height"]), int(element.attrib["width"]))
        name = element.attrib["name"]
        image = AnnotatedImage(name, f"{file}, image {element.attrib['id']}", size)
        for shape in sorted(element, key=lambda shape: int(shape.get("z_order", 0))):
            objects = list(_objects(shape))
            image.objects += objects
            if not objects:
                left_out.add(f"elements {shape.tag}", name)
        element.clear()  # a file may have a million shapes
        yield image
    if tracks or not images:
        what = f"{tracks} tracks of a video" if tracks else "no image"
        raise ValueError(f"{what}; export from CVAT as 'CVAT for images 1.1'")


def _objects(shape: Element) -> Iterator[Marked]:
    label, values = shape.get("label", ""), shape.attrib
    if shape.tag == "points":
        for x, y in _corners(values["points"]):
            yield point(label, x, y)
    elif shape.tag == "box":
        left, top, right, bottom = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        yield _turned(box(label, left, top, right, bottom), float(values.get("rotation", 0)))
    elif shape.tag == "ellipse":
        x, y, radius_x, radius_y = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
        turned = _turned(ellipse(label, x, y, radius_x, radius_y), float(values.get("rotation", 0)))
        yield turned
    elif shape.tag in ("polygon", "polyline"):
        yield polygon(label, _corners(values["points"]), has_area=shape.tag == "polygon")
    elif shape.tag == "mask":
        left, top, width, height = (int(values[key]) for key in ("left", "top", "width", "height"))
        runs = [int(run) for run in values["rle"].split(",")]
        decode = partial(pixels_of_runs, runs, (height, width), "C")
        marked = box(label, left, top, left + width, top + height)
        yield marked._replace(area=Bitmap(left, top, decode))
    elif shape.tag == "skeleton":
        inner = [corner for part in shape for corner in _corners(part.get("points", ""))]
        if inner:
            yield point(label, *np.mean(inner, axis=0).tolist())


def _corners(text: str) -> list[tuple[float, float]]:
    """Points of ``"x,y;x,y"``."""
    pairs = (pair.split(",") for pair in text.split(";") if pair)
    return [(float(x), float(y)) for x, y in pairs]


def _turned(marked: Marked, degrees: float) -> Marked:
    """A box or an ellipse turned clockwise around its centre."""
    if not degrees or marked.at is None:
        return marked
    angle = radians(degrees)
    turn = np.array(((cos(angle), sin(angle)), (-sin(angle), cos(angle))))
    rings = getattr(marked.area, "rings", ())
    centre = np.array(marked.at)
    return polygon(marked.label, *((ring - centre) @ turn + centre for ring in rings))
