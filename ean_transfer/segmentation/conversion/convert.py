"""Labels of a source, in any format that is read, written as a folder of PNG label files."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from ean_transfer.data.conversion.areas import Labels
from ean_transfer.data.conversion.matching import ImageIndex, match, own_name
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.reading import SHARED, read_annotations
from ean_transfer.data.conversion.report import Conversion, LeftOut, suffix_option
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.sources import find_source
from ean_transfer.data.conversion.writing import new_folder, refuse_existing
from ean_transfer.data.plain import CLASSES, read_classes
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images
from ean_transfer.io.images import read_image_size
from ean_transfer.io.progress import progress_bar
from ean_transfer.segmentation.contact_sheet import label_colour
from ean_transfer.segmentation.conversion.class_masks import (
    class_folders,
    masks_by_image,
    put_together,
)
from ean_transfer.segmentation.conversion.colour_table import read_colour_table
from ean_transfer.segmentation.conversion.colours import looked_up
from ean_transfer.segmentation.conversion.drawn import BACKGROUND, classes_of, painted
from ean_transfer.segmentation.loading import IGNORE

_COLOURS, _MASKS = "colours", "class-masks"


class _Work(NamedTuple):
    """Label images to be made.

    Attributes:
        format: The source's format.
        classes: Names of the classes.
        number: Number of label images.
        images: Yields an image's path and its labels, one by one.
    """

    format: str
    classes: tuple[str, ...]
    number: int
    images: Iterator[tuple[str, Labels]]


def convert_masks(
    root: Path, images: Path, out_dir: Path, settings: Settings, dry_run: bool = False
) -> Conversion:
    """Write the labels of a source as ``labels/*.png`` and ``classes.txt``, for a ``SegFolder``.

    Args:
        root: The file or folder of annotations; it is only read.
        images: The folder of the images, which stay where they are.
        out_dir: Folder of the results.
        settings: How the source is read.
        dry_run: Whether to write nothing; everything is read all the same.

    Raises:
        ConfigError: A setting does not fit, the results exist, or there are too many classes.
        DataError: The source cannot be read, or a mask has a colour that the table lacks.
    """
    target = out_dir / "labels"
    if root.resolve() == target.resolve():
        raise ConfigError(
            f"{root}: expected labels of another tool, found the folder that results are written "
            "to; if its values are classes, there is nothing to convert: 'ean dataset check "
            f"segmentation {out_dir}'; otherwise name another place with --out-dir"
        )
    refuse_existing(target)
    index = ImageIndex(images, settings.image_suffix, root)
    left_out = LeftOut()
    work = _work(root, images, index, settings, left_out)
    # 255 is the ignored label.
    if not 0 < len(work.classes) < IGNORE:
        raise ConfigError(
            f"{settings.table or root}: expected 1 to {IGNORE - 1} classes, found "
            f"{len(work.classes)}; choose some with --classes"
        )
    named = read_classes(out_dir)
    if named not in (None, work.classes):
        raise ConfigError(
            f"{out_dir / CLASSES}: expected the classes {', '.join(work.classes)}, found "
            f"{', '.join(named or ())}; remove it, or choose another place with --out-dir"
        )
    shown: Counter[int] = Counter()
    written: dict[str, str] = {}
    with nullcontext() if dry_run else new_folder(target) as folder:
        for name, labels in _without_same_names(work, index, written, left_out):
            shown.update(np.unique(labels).tolist())
            if folder:
                _save(folder / name, labels)
    if not dry_run:
        write_atomically(out_dir / CLASSES, "\n".join(work.classes) + "\n")
    folder_of_images = os.path.relpath(images, out_dir)
    options = "" if folder_of_images == "images" else f" --data-option images={folder_of_images}"
    options += suffix_option("img_suffix", settings.image_suffix)
    return Conversion(
        source=root,
        format=work.format,
        target=target,
        images=len(index.images),
        annotated=len(written),
        written=f"{len(written)} label files of {len(work.classes)} classes",
        classes={
            f"{label} {name}:": shown[label]
            for label, name in [*enumerate(work.classes), (IGNORE, "ignored")]
        },
        left_out=left_out.summary(),
        not_annotated=[name for name in index.images if name not in written.values()],
        check=f"ean dataset check segmentation {out_dir}{options} --sheet sheet.png",
        dry_run=dry_run,
    )


def _work(
    root: Path, images: Path, index: ImageIndex, settings: Settings, left_out: LeftOut
) -> _Work:
    is_colours = settings.table is not None or not class_folders(root)
    of_images = [_COLOURS if is_colours else _MASKS]
    of_images = [settings.format] if settings.format in (_COLOURS, _MASKS) else of_images
    source = find_source(root, settings, of_images, {*SHARED, _COLOURS, _MASKS})
    if source.format == _COLOURS:
        table = read_colour_table(_table_file(root, settings), settings)
        files = [root] if root.is_file() else _images_in(root, settings)
        masks = [_mask(own_name(file, settings.label_suffix), str(file), file) for file in files]
        matched = match(masks, index, images, left_out)
        labels = looked_up(matched, table, settings, left_out)
        return _Work(_COLOURS, table.classes, len(matched), labels)
    if source.format == _MASKS:
        by_image = masks_by_image(root, settings)
        masks = [_mask(key, key, next(iter(of.values()))) for key, of in by_image.items()]
        matched = match(masks, index, images, left_out)
        names = settings.classes or tuple(sorted({name for of in by_image.values() for name in of}))
        classes = tuple(name for name in names if name not in settings.ignore)
        if settings.rest == "background" and BACKGROUND not in classes:
            classes = (BACKGROUND, *classes)
        labels = put_together(matched, by_image, classes, settings, left_out)
        return _Work(_MASKS, classes, len(matched), labels)
    annotated = read_annotations(source, SHARED, settings, left_out)
    classes = classes_of(source, annotated, settings)
    matched = match(annotated, index, images, left_out)
    labels = painted(matched, classes, settings, left_out)
    return _Work(source.format, classes, len(matched), labels)


def _mask(reference: str, where: str, file: Path) -> AnnotatedImage:
    return AnnotatedImage(reference, where, read_image_size(file))


def _table_file(root: Path, settings: Settings) -> Path:
    if settings.table is None:
        raise ConfigError(
            f"{root}: expected a table of colours and classes for its masks, found none; give it "
            "with --table FILE, with lines such as 255,0,0,car (see docs/converting.md)"
        )
    return Path(settings.table)


def _images_in(root: Path, settings: Settings) -> list[Path]:
    return list_images(root, settings.label_suffix or IMAGE_SUFFIXES, recursive=True).images


def _without_same_names(
    work: _Work, index: ImageIndex, written: dict[str, str], left_out: LeftOut
) -> Iterator[tuple[str, Labels]]:
    """Yield a label file's name and its labels; ``written`` gets the image of each name."""
    with progress_bar() as progress:
        task = progress.add_task("converting", total=work.number, note="")
        for image, labels in work.images:
            name = f"{index.stems[image]}.png"
            if written.setdefault(name, image) != image:
                left_out.add("annotations: another image has their name up to the suffix", image)
            else:
                yield name, labels
            progress.advance(task)


def _save(file: Path, labels: Labels) -> None:
    """Write labels as a palette image, which viewers show in colours."""
    file.parent.mkdir(parents=True, exist_ok=True)
    picture = Image.fromarray(labels)
    colours = [label_colour(label) for label in range(IGNORE)] + [(255, 255, 255)]
    picture.putpalette([channel for colour in colours for channel in colour])
    picture.save(file)
