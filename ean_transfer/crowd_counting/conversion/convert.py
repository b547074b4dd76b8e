"""Points of a source, in any format that is read, written as one ``points.csv``."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.conversion.point_files import READERS
from ean_transfer.crowd_counting.datasets.base import distances_outside, farthest_clamped
from ean_transfer.crowd_counting.datasets.files import file_name
from ean_transfer.crowd_counting.points import as_points
from ean_transfer.data.conversion.matching import ImageIndex, match
from ean_transfer.data.conversion.objects import AnnotatedImage, Marked
from ean_transfer.data.conversion.reading import read_annotations
from ean_transfer.data.conversion.report import Conversion, LeftOut, suffix_option
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.sources import Source, find_source
from ean_transfer.data.conversion.writing import refuse_existing
from ean_transfer.data.plain import POINTS
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import replacing
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images

_Points = npt.NDArray[np.float64]  # (N, 2) of (x, y)


def convert_points(
    root: Path, images: Path, out_dir: Path, settings: Settings, dry_run: bool = False
) -> Conversion:
    """Write the points of a source as ``points.csv``, for a :class:`PointsDataset`.

    Args:
        root: The file or folder of annotations; it is only read.
        images: The folder of the images, which stay where they are.
        out_dir: Folder of the table, which is ``images`` or lies around it.
        settings: How the source is read.
        dry_run: Whether to write nothing.

    Raises:
        ConfigError: A setting does not fit, or the table exists.
        DataError: The source cannot be read, or its points cannot be what they should be.
    """
    target = out_dir / POINTS
    if not images.resolve().is_relative_to(out_dir.resolve()):
        raise ConfigError(
            f"{out_dir}: expected the folder of the images, {images}, or one around it, since "
            f"{POINTS} names images by their paths; correct --out-dir"
        )
    refuse_existing(target)
    source = _source(root, settings)
    folder_of_dots = source.root if source.format == "dots" else None
    shared = folder_of_dots is not None and folder_of_dots.resolve() == images.resolve()
    if shared and not settings.label_suffix:
        raise ConfigError(
            f"{images}: expected to be told which files are images and which dots, found both in "
            "one folder; e.g. --image-suffix cell.png --label-suffix dots.png"
        )
    index = ImageIndex(images, settings.image_suffix, folder_of_dots)
    left_out = LeftOut()
    annotated = read_annotations(source, READERS, settings, left_out)
    wanted = _of_classes(annotated, settings, root, left_out)
    matched = match(wanted, index, images, left_out)
    sizes = {name: _size(image) for name, image in matched.items()}
    points = {name: _in_pixels(image, settings) for name, image in matched.items()}
    _refuse_other_units(points, sizes, settings, root)
    points = {name: _within(name, points[name], sizes[name], left_out) for name in points}
    classes = Counter(marked.label for image in wanted for marked in image.objects)
    if not dry_run:
        prefix = images.resolve().relative_to(out_dir.resolve())
        _write(target, {(prefix / name).as_posix(): rows for name, rows in points.items()})
    number = sum(map(len, points.values()))
    option = suffix_option("image_suffix", settings.image_suffix)
    return Conversion(
        source=root,
        format=source.format,
        target=target,
        images=len(index.images),
        annotated=len(points),
        written=f"{number} points",
        classes=dict(classes.most_common()),
        left_out=left_out.summary(),
        not_annotated=[name for name in index.images if name not in points],
        check=f"ean dataset check points {out_dir}{option} --sheet sheet.png",
        dry_run=dry_run,
    )


def _source(root: Path, settings: Settings) -> Source:
    source = find_source(root, settings, ["dots"], set(READERS))
    # One of many tables may be empty, of an image without objects.
    if source.format == "csv" and source.is_file and not root.stat().st_size:
        raise DataError(f"{root}: expected a table, found an empty file; export it again")
    if source.format != "dots":
        return source
    files = list_images(root, settings.label_suffix or IMAGE_SUFFIXES, recursive=True).images
    files = [root] if root.is_file() else files
    if not files:
        raise DataError(
            f"{root}: expected annotations or dot images, found none; see docs/converting.md"
        )
    return source._replace(files=files)


def _of_classes(
    annotated: Iterable[AnnotatedImage], settings: Settings, root: Path, left_out: LeftOut
) -> list[AnnotatedImage]:
    """The images with those of their objects that are single ones of the wanted classes."""
    known = {marked.label for image in annotated for marked in image.objects}
    if unknown := [name for name in settings.classes if name not in known]:
        raise ConfigError(
            f"{root}: expected objects of the class {unknown[0]!r}, found "
            f"{', '.join(sorted(filter(None, known))) or 'no classes'}; correct --classes"
        )
    images = []
    for image in annotated:
        kept: list[Marked] = []
        for marked in image.objects:
            if settings.classes and marked.label not in settings.classes:
                left_out.add(f"objects of the class {marked.label or 'without name'}", image.image)
            elif marked.at is None:
                left_out.add("areas of several objects, or parts of one", image.image)
            else:
                kept.append(marked)
        images.append(AnnotatedImage(image.image, image.where, image.size, kept))
    return images


def _in_pixels(image: AnnotatedImage, settings: Settings) -> _Points:
    """The points of an image, (N, 2) of (x, y) in pixels, wherever they are."""
    points = np.array([marked.at for marked in image.objects], np.float64).reshape(-1, 2)
    if settings.order == "yx":
        points = points[:, ::-1]
    return points * _size(image)[::-1] if settings.relative else points


def _within(name: str, points: _Points, size: tuple[int, int], left_out: LeftOut) -> _Points:
    """The points that can be in their image, if perhaps a little outside it."""
    finite = np.isfinite(points).all(axis=1)
    left_out.add("points that are not finite", name, int((~finite).sum()))
    far = _are_far(points[finite], size)
    left_out.add("points far outside their image", name, int(far.sum()))
    return points[finite][~far]


def _are_far(points: _Points, size: tuple[int, int]) -> npt.NDArray[np.bool_]:
    far: npt.NDArray[np.bool_] = distances_outside(as_points(points), size) > farthest_clamped(size)
    return far


def _refuse_other_units(
    points: dict[str, _Points], sizes: dict[str, tuple[int, int]], settings: Settings, root: Path
) -> None:
    """Refuse coordinates that are shares of the image's size, or (y, x)."""
    together = np.concatenate(list(points.values()))
    several = len(together) > 1 and np.ptp(together, axis=0).any()
    if several and not settings.relative and together.min() >= 0 and together.max() <= 1:
        raise DataError(
            f"{root}: expected points in pixels, found all {len(together)} between 0 and 1; use "
            "--relative if they are shares of the image's width and height"
        )
    far = sum(int(_are_far(points[name], sizes[name]).sum()) for name in points)
    turned = sum(int(_are_far(points[name][:, ::-1], sizes[name]).sum()) for name in points)
    if far > 0.1 * len(together) and not turned:
        other = "xy" if settings.order == "yx" else "yx"
        raise DataError(
            f"{root}: expected points (x, y) in their images, found {far} of {len(together)} "
            f"outside, which fit with x and y exchanged; use --order {other}"
        )


def _size(image: AnnotatedImage) -> tuple[int, int]:
    assert image.size is not None, "match() gives the image's"
    return image.size


def _write(target: Path, points: dict[str, _Points]) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # A name of other bytes than UTF-8, as of an old archive, is written as it is read.
    with (
        replacing(target) as partial,
        partial.open("w", newline="", encoding="utf-8", errors="surrogateescape") as stream,
    ):
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("image", "x", "y"))
        for name in sorted(points, key=file_name):
            rows = [(name, f"{x:.9g}", f"{y:.9g}") for x, y in points[name].tolist()]
            writer.writerows(rows or [(name, "", "")])
