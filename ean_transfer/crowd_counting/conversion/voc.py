"""Pascal VOC's XML of boxes, one file per image, as LabelImg and others write it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree
from xml.etree.ElementTree import Element

from ean_transfer.data.conversion.matching import own_name
from ean_transfer.data.conversion.objects import AnnotatedImage, box
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings


def read_voc(
    file: Path, content: Any, settings: Settings, left_out: LeftOut
) -> Iterator[AnnotatedImage]:
    """Yield the image of a file; see :data:`~ean_transfer.data.conversion.reading.Reader`.

    The image is the one that the file is named after: what files say of their image's name is often
    that of another machine, or of the time before it was renamed.
    """
    root = ElementTree.parse(file).getroot()
    # Some tools write 0 for a size that they do not know.
    height, width = (int(root.findtext(f"size/{side}") or 0) for side in ("height", "width"))
    image = AnnotatedImage(
        own_name(file, settings.label_suffix),
        str(file),
        (height, width) if height and width else None,
    )
    for element in root.iter("object"):
        bounds = element.find("bndbox")
        if bounds is None:
            left_out.add("objects without a box", file.name)
        else:
            label = element.findtext("name", "").strip()
            image.objects.append(box(label, *_corners(bounds)))
    yield image


def _corners(bounds: Element) -> tuple[float, float, float, float]:
    """Left, top, right and bottom; files have them in any order."""
    left, top, right, bottom = (
        float(bounds.findtext(name, "")) for name in ("xmin", "ymin", "xmax", "ymax")
    )
    return left, top, right, bottom
