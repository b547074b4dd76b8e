"""labelme's JSON, one file per image: points, rectangles, circles, polygons and bitmaps."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from functools import partial
from io import BytesIO
from math import hypot
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ean_transfer.data.conversion.areas import Bitmap, Pixels
from ean_transfer.data.conversion.objects import (
    AnnotatedImage,
    Marked,
    box,
    box_centre,
    ellipse,
    point,
    polygon,
)
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.plain import plain_path


def read_labelme(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the image of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    Shapes with one label and one ``group_id`` are parts of one object.
    """
    size = (content.get("imageHeight"), content.get("imageWidth"))
    # imagePath begins at the file's folder; others may have images of the same name.
    named = plain_path(content.get("imagePath") or file.stem)
    reference = os.path.normpath(file.parent / named)
    image = AnnotatedImage(reference, str(file), size if all(size) else None)
    parts: dict[tuple[str, Any], list[Marked]] = {}
    for place, shape in enumerate(content["shapes"]):
        marked = _object(shape)
        if marked is None:
            left_out.add(f"shapes of the type {shape.get('shape_type')}", file.name)
            continue
        group = shape.get("group_id")
        key = (marked.label, ("alone", place) if group is None else group)
        parts.setdefault(key, []).append(marked)
    for group in parts.values():
        if len(group) == 1:
            image.objects += group
            continue
        centre = box_centre([part.at for part in group if part.at is not None])
        # One object, whose areas are painted one after the other.
        image.objects.append(group[0]._replace(at=centre))
        image.objects += [part._replace(at=None) for part in group[1:]]
    yield image


def _object(shape: Any) -> Marked | None:
    label, corners = str(shape["label"]), shape["points"]
    kind = shape.get("shape_type") or "polygon"
    if kind == "point" or len(corners) == 1:
        return point(label, *corners[0])
    if kind == "circle":
        (x, y), (edge_x, edge_y) = corners
        radius = hypot(edge_x - x, edge_y - y)
        return ellipse(label, x, y, radius, radius)
    if kind in ("rectangle", "mask"):
        (left, top), (right, bottom) = np.min(corners, axis=0), np.max(corners, axis=0)
        marked = box(label, left, top, right, bottom)
        if kind == "rectangle":
            return marked
        decode = partial(_pixels, shape["mask"])
        return marked._replace(area=Bitmap(round(left), round(top), decode))
    if kind in ("polygon", "rotation", "line", "linestrip"):
        return polygon(label, corners, has_area=kind in ("polygon", "rotation"))
    return None


def _pixels(text: str) -> Pixels:
    with Image.open(BytesIO(base64.b64decode(text)), formats=["PNG"]) as image:
        return np.asarray(image.convert("L")) > 0
