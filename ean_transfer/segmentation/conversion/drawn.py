"""Label images painted from the polygons and bitmaps of annotation tools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from ean_transfer.data.conversion.areas import Labels
from ean_transfer.data.conversion.coco import category_names
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.reading import expecting
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.sources import Source, read_json
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.loading import IGNORE

BACKGROUND = "background"


def classes_of(
    source: Source, annotated: list[AnnotatedImage], settings: Settings
) -> tuple[str, ...]:
    """Names of the classes in the order of their labels.

    These are the settings' classes, or else COCO's categories, or else all that occur, sorted; with
    a background first, unless it is one of them or left to be ignored.

    Raises:
        ConfigError: A class of the settings occurs nowhere.
    """
    known = dict.fromkeys(sorted({m.label for image in annotated for m in image.objects} - {""}))
    if source.format == "coco":
        known = {name: None for file in source.files for name in category_names(read_json(file))}
    asked = [name for name in settings.classes if name != BACKGROUND]
    if unknown := [name for name in asked if name not in known]:
        raise ConfigError(
            f"{source.root}: expected objects of the class {unknown[0]!r}, found "
            f"{', '.join(known) or 'no classes'}; correct --classes"
        )
    names = [name for name in settings.classes or known if name not in settings.ignore]
    if settings.rest == "background" and BACKGROUND not in names:
        names.insert(0, BACKGROUND)
    return tuple(names)


def label_numbers(classes: tuple[str, ...], settings: Settings) -> tuple[dict[str, int], int]:
    """The label of each class, also of those to ignore, and that of pixels of no class.

    Args:
        classes: Names of the classes.
        settings: Which others are ignored, and what becomes of other pixels.
    """
    label_of = {name: label for label, name in enumerate(classes)}
    label_of |= dict.fromkeys(settings.ignore, IGNORE)
    return label_of, IGNORE if settings.rest == "ignore" else label_of[BACKGROUND]


def painted(
    matched: Mapping[str, AnnotatedImage],
    classes: tuple[str, ...],
    settings: Settings,
    left_out: LeftOut,
) -> Iterator[tuple[str, Labels]]:
    """Yield the label image of each image, later objects over earlier ones.

    Args:
        matched: Image's path -> its annotations and size.
        classes: Names of the classes.
        settings: What becomes of other classes and other pixels.
        left_out: Where to say what is left out.
    """
    label_of, rest = label_numbers(classes, settings)
    for name, image in matched.items():
        assert image.size is not None, "match() gives the image's"
        labels = np.full(image.size, rest, np.uint8)
        for marked in image.objects:
            label = label_of.get(marked.label)
            if label is None:
                reason = f"objects of the class {marked.label or 'without name'}"
                left_out.add(reason, name)
            elif marked.area is None:
                left_out.add("points and lines, which have no area", name)
            else:
                with expecting(image.where, "of an area"):
                    covered = marked.area.paint(labels, label)
                left_out.add("objects that cover no pixel", name, not covered)
        yield name, labels
