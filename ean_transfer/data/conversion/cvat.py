"""CVAT's XML, "for images 1.1" and "for video 1.1": points, boxes, polygons, bitmaps, ..."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from math import radians
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
    turned,
)
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings


def read_cvat(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    Each point of a points shape is an object. Shapes are painted in CVAT's order (``z_order``).
    Frames of a video are named as CVAT names them, ``frame_000012``.
    """
    size: tuple[int, int] | None = None  # of a video
    frames: dict[int, list[Element]] = {}
    any_image = False
    for _, element in ElementTree.iterparse(file):
        if element.tag == "original_size":
            size = (int(element.findtext("height", "")), int(element.findtext("width", "")))
        elif element.tag == "track":
            for shape in element:
                shape.set("label", element.get("label", ""))
                frames.setdefault(int(shape.attrib["frame"]), []).append(shape)
        elif element.tag == "image":
            any_image = True
            own_size = (int(element.attrib["height"]), int(element.attrib["width"]))
            where = f"{file}, image {element.attrib['id']}"
            yield _image(element.attrib["name"], where, own_size, element, left_out)
            element.clear()  # a file may have a million shapes
    for number, shapes in sorted(frames.items()):
        seen = [shape for shape in shapes if shape.get("outside") != "1"]
        yield _image(f"frame_{number:06d}", f"{file}, frame {number}", size, seen, left_out)
    if not (any_image or frames):
        raise ValueError(
            "no image and no track with shapes; export from CVAT as 'CVAT for images 1.1' or 'for "
            "video 1.1'"
        )


def _image(
    name: str,
    where: str,
    size: tuple[int, int] | None,
    shapes: Iterable[Element],
    left_out: LeftOut,
) -> AnnotatedImage:
    image = AnnotatedImage(name, where, size)
    for shape in sorted(shapes, key=lambda shape: int(shape.get("z_order", 0))):
        objects = list(_objects(shape))
        image.objects += objects
        if not objects:
            left_out.add(f"elements {shape.tag}", name)
    return image


def _objects(shape: Element) -> Iterator[Marked]:
    label, values = shape.get("label", ""), shape.attrib
    angle = radians(float(values.get("rotation", 0)))
    if shape.tag == "points":
        for x, y in _corners(values["points"]):
            yield point(label, x, y)
    elif shape.tag == "box":
        left, top, right, bottom = (float(values[key]) for key in ("xtl", "ytl", "xbr", "ybr"))
        yield turned(box(label, left, top, right, bottom), angle)
    elif shape.tag == "ellipse":
        x, y, radius_x, radius_y = (float(values[key]) for key in ("cx", "cy", "rx", "ry"))
        yield turned(ellipse(label, x, y, radius_x, radius_y), angle)
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
