"""COCO's JSON: boxes, keypoints, polygons and run lengths of all images in one file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ean_transfer.data.conversion.areas import Bitmap, Pixels, pixels_of_runs, runs_of_text
from ean_transfer.data.conversion.objects import AnnotatedImage, Marked, box, polygon
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.errors import ConfigError


def read_coco(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the images of a COCO file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    An annotation is one object. Its point is the keypoint ``settings.keypoint``, or the mean of the
    labelled ones, or without any the centre of its box. Larger areas come first, so that smaller
    ones are painted on top.
    """
    classes = {c["id"]: str(c["name"]) for c in content.get("categories", ())}
    keypoints = {c["id"]: list(c.get("keypoints", ())) for c in content.get("categories", ())}
    _check_keypoint(file, keypoints, settings)
    of_image: dict[Any, list[Any]] = {}
    for annotation in content["annotations"]:
        of_image.setdefault(annotation["image_id"], []).append(annotation)
    for info in content["images"]:
        height, width = info.get("height"), info.get("width")
        size = (height, width) if height and width else None  # some tools do not know it
        image = AnnotatedImage(str(info["file_name"]), f"{file}, image {info['id']}", size)
        annotations = of_image.pop(info["id"], [])
        for annotation in sorted(annotations, key=lambda a: -float(a.get("area") or 0)):
            category = annotation.get("category_id")
            label = classes.get(category, "" if category is None else str(category))
            names = keypoints.get(category, [])
            marked = _object(annotation, label, names, size, settings)
            if marked.at is None and marked.area is None:
                left_out.add("annotations without box, area or keypoint", image.image)
            else:
                image.objects.append(marked)
        yield image
    for number, annotations in of_image.items():
        left_out.add("annotations of images that the file lacks", str(number), len(annotations))


def category_names(content: Any) -> list[str]:
    """The names of a COCO file's categories, in the order of their numbers."""
    categories = content.get("categories", ())
    return [str(c["name"]) for c in sorted(categories, key=lambda c: int(c["id"]))]


def _check_keypoint(file: Path, keypoints: Mapping[Any, list[str]], settings: Settings) -> None:
    known = {name for names in keypoints.values() for name in names}
    if settings.keypoint and settings.keypoint not in known:
        raise ConfigError(
            f"{file}: expected a keypoint {settings.keypoint!r}, found "
            f"{', '.join(sorted(known)) or 'none'}; correct --keypoint"
        )


def _object(
    annotation: Mapping[str, Any],
    label: str,
    names: list[str],
    size: tuple[int, int] | None,
    settings: Settings,
) -> Marked:
    bounds, keypoints = annotation.get("bbox"), annotation.get("keypoints")
    framed = box(label, *_corners(bounds)) if bounds else Marked(label, None)
    outlined = _outlined(annotation.get("segmentation"), label, size)
    area = outlined.area or (None if keypoints else framed.area)
    if annotation.get("iscrowd"):
        return Marked(label, None, outlined.area)
    at = _mean_keypoint(keypoints, names, settings.keypoint) or framed.at or outlined.at
    if at is None and isinstance(area, Bitmap):
        rows, columns = np.nonzero(area.decode())
        at = (float(columns.mean()) + 0.5, float(rows.mean()) + 0.5) if len(rows) else None
    return Marked(label, at, area)


def _mean_keypoint(
    keypoints: list[float] | None, names: list[str], wanted: str | None
) -> tuple[float, float] | None:
    if not keypoints:
        return None
    values = np.asarray(keypoints, dtype=np.float64).reshape(-1, 3)
    labelled = values[:, 2] > 0
    if wanted:
        labelled = labelled & np.array([name == wanted for name in names], dtype=bool)
    if not labelled.any():
        return None
    x, y = values[labelled, :2].mean(axis=0).tolist()
    return x, y


def _corners(bounds: list[float]) -> tuple[float, float, float, float]:
    left, top, width, height = bounds
    return left, top, left + width, top + height


def _outlined(segmentation: Any, label: str, size: tuple[int, int] | None) -> Marked:
    if isinstance(segmentation, list):
        segmentation = [ring for ring in segmentation if ring]  # some tools write empty ones
        return polygon(label, *segmentation) if segmentation else Marked(label, None)
    if not segmentation:
        return Marked(label, None)
    height, width = segmentation["size"]
    if size is not None and (height, width) != size:
        raise ValueError(f"run lengths for {width} x {height} pixels, unlike their image")
    return Marked(
        label, None, Bitmap(0, 0, partial(_decode, segmentation["counts"], (height, width)))
    )


def _decode(runs: Any, size: tuple[int, int]) -> Pixels:
    return pixels_of_runs(runs_of_text(runs) if isinstance(runs, str) else runs, size)
