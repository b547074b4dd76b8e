"""Label images looked up in a table of colours, from colour, palette or grey images."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ean_transfer.data.conversion.areas import Labels
from ean_transfer.data.conversion.objects import AnnotatedImage
from ean_transfer.data.conversion.report import LeftOut
from ean_transfer.data.conversion.settings import Settings
from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image, read_labels
from ean_transfer.segmentation.conversion.colour_table import ColourTable
from ean_transfer.segmentation.loading import IGNORE

_SHOWN = 5  # colours in a message
_Keys = npt.NDArray[np.int64]  # a colour as one number, 0xrrggbb


def looked_up(
    matched: Mapping[str, AnnotatedImage], table: ColourTable, settings: Settings, left_out: LeftOut
) -> Iterator[tuple[str, Labels]]:
    """Yield the label image of each image.

    Args:
        matched: Image's path -> its mask, whose file is ``where``.
        table: Colours and labels.
        settings: What to do with other colours.
        left_out: Where to say which colours were ignored or replaced.

    Raises:
        DataError: At the end, if there were colours that the table lacks and that are refused; or a
            mask cannot be read.
    """
    colours = np.array(sorted(table.labels), dtype=np.int64)
    keys = _key(colours)
    labels = np.array([table.labels[colour] for colour in sorted(table.labels)], dtype=np.uint8)
    unknown: Counter[int] = Counter()
    first_of: dict[int, str] = {}
    for name, mask in matched.items():
        pixels = _pixels(Path(mask.where), table.of_values)
        places = np.searchsorted(keys, pixels).clip(max=len(keys) - 1)
        result = labels[places]
        strange = keys[places] != pixels
        if strange.any():
            values, inverse, counts = np.unique(
                pixels[strange], return_inverse=True, return_counts=True
            )
            nearest = settings.unknown == "nearest"
            result[strange] = _nearest(values, colours, labels)[inverse] if nearest else IGNORE
            unknown.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))
            first_of = {value: name for value in values.tolist()} | first_of
            what = "taken for the nearest one" if nearest else "ignored"
            left_out.add(
                f"pixels of colours that are not in the table: {what}", name, int(strange.sum())
            )
        yield name, result
    if unknown and settings.unknown == "refuse":
        shown = [
            f"{_named(value, table.of_values)} in {count} pixels ({first_of[value]})"
            for value, count in unknown.most_common(_SHOWN)
        ]
        more = f" and {len(unknown) - _SHOWN} others" if len(unknown) > _SHOWN else ""
        raise DataError(
            f"{table.file}: expected every colour of the masks, lacks {', '.join(shown)}{more}; "
            "add them, or use --unknown ignore, or --unknown nearest where JPEG has blurred them"
        )


def _pixels(mask: Path, of_values: bool) -> _Keys:
    if of_values:
        return read_labels(mask).astype(np.int64)
    return _key(read_image(mask)[..., ::-1].astype(np.int64))


def _key(colours: npt.NDArray[np.int64]) -> _Keys:
    """Colours (..., 1 or 3) as one number each."""
    key: _Keys = colours @ np.array((65536, 256, 1))[-colours.shape[-1] :]
    return key


def _nearest(values: _Keys, colours: npt.NDArray[np.int64], labels: Labels) -> Labels:
    if colours.shape[1] == 1:
        channels = values[:, None]
    else:
        channels = np.stack((values >> 16, values >> 8 & 255, values & 255), axis=1)
    best = np.zeros(len(values), np.int64)
    least = np.full(len(values), np.iinfo(np.int64).max)
    for place, colour in enumerate(colours):  # a table is short, and images may have many colours
        distance = ((channels - colour) ** 2).sum(axis=1)
        best = np.where(distance < least, place, best)
        least = np.minimum(distance, least)
    return labels[best]


def _named(value: int, of_values: bool) -> str:
    return str(value) if of_values else f"#{value:06x}"
