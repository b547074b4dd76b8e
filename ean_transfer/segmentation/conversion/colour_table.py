"""The table of a colour conversion: which colour, or value, stands for which class."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ean_transfer.data.conversion.settings import Settings
from ean_transfer.data.conversion.tables import is_number, read_table, text_of
from ean_transfer.errors import DataError
from ean_transfer.segmentation.loading import IGNORE

Colour = tuple[int, ...]  # (r, g, b), or the value of a grey or palette image alone

_COLOUR = ("color", "colour", "rgb", "hex", "color_rgb", "colour_rgb", "value", "index", "id")
_CLASS = ("class", "name", "label", "class_name", "title", "category")
_CHANNELS = (("r", "g", "b"), ("red", "green", "blue"))


@dataclass(frozen=True)
class ColourTable:
    """Colours and their labels.

    Attributes:
        file: The table's file.
        classes: Names of the classes in the order of their labels.
        labels: Colour -> label; 255 for ignored ones. All colours are triples, or single values.
        of_values: Whether colours are single values.
    """

    file: Path
    classes: tuple[str, ...]
    labels: dict[Colour, int]
    of_values: bool


def read_colour_table(file: Path, settings: Settings) -> ColourTable:
    """Read a table as CSV, JSON or CVAT's ``labelmap.txt``.

    Several colours may have one class. Classes get their labels in the order of the table; if all
    are whole numbers, these are the labels. A class of ``settings.ignore`` becomes 255.

    Raises:
        DataError: The file is no such table.
    """
    pairs = dict[Colour, str]()
    try:
        for colour, name in _pairs(file):
            if pairs.setdefault(colour, name) != name:
                raise ValueError(f"the colour {colour} for {pairs[colour]} and for {name}")
        kinds = {len(colour) for colour in pairs}
        if kinds not in ({1}, {3}) or not all(pairs.values()):
            raise ValueError("no colours with classes")
        classes, label_of = _labels(list(pairs.values()), settings)
    except DataError:
        raise
    except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected a table of colours and classes, such as r,g,b,class or "
            f'{{"#ff0000": "car"}}, found {error}; see docs/converting.md'
        ) from error
    labels = {colour: label_of[name] for colour, name in pairs.items()}
    return ColourTable(file, classes, labels, kinds == {1})


def _labels(names: list[str], settings: Settings) -> tuple[tuple[str, ...], dict[str, int]]:
    """Names of the classes, and the label of each name in the table."""
    ignored = dict.fromkeys((name for name in names if name in settings.ignore), IGNORE)
    others = [name for name in settings.classes or dict.fromkeys(names) if name not in ignored]
    if missing := [name for name in settings.classes if name not in names]:
        raise ValueError(f"no class {missing[0]!r}, which --classes names")
    if others and all(name.isdecimal() for name in others) and not settings.classes:
        numbers = {name: int(name) for name in others}
        highest = max((n for n in numbers.values() if n != IGNORE), default=-1)
        return tuple(map(str, range(highest + 1))), ignored | numbers
    of_class = {name: label for label, name in enumerate(others)}
    # Classes that were not chosen are ignored, as are those of settings.ignore.
    return tuple(others), dict.fromkeys(names, IGNORE) | of_class | ignored


def _pairs(file: Path) -> Iterator[tuple[Colour, str]]:
    text = text_of(file)
    if file.suffix.lower() == ".json":
        yield from _pairs_of_json(json.loads(text))
    elif re.match(r"\s*(#.*\n\s*)?[^:,\n]+:\d+,\d+,\d+:", text):  # CVAT's label:r,g,b:parts:actions
        for line in text.splitlines():
            if line.strip() and not line.startswith("#"):
                name, colour = line.split(":")[:2]
                yield _colour(colour), name
    else:
        yield from _pairs_of_csv(file)


def _pairs_of_json(content: Any) -> Iterator[tuple[Colour, str]]:
    entries = (
        content.get("classes", content.get("labels")) if isinstance(content, dict) else content
    )
    if isinstance(entries, list):
        for entry in entries:
            values = {key.casefold(): value for key, value in entry.items()}
            colour = next(values[key] for key in _COLOUR if key in values)
            yield _colour(colour), str(next(values[key] for key in _CLASS if key in values))
        return
    for key, value in content.items():
        is_colour = re.fullmatch(r"[\s(\[]*(#[0-9a-fA-F]{6}|\d+([ ,]+\d+)*)[\s)\]]*", str(key))
        yield (_colour(key), str(value)) if is_colour else (_colour(value), str(key))


def _pairs_of_csv(file: Path) -> Iterator[tuple[Colour, str]]:
    table = read_table(file)
    by_name = {name.casefold(): name for name in table.columns}
    channels = [names for names in _CHANNELS if by_name.keys() >= set(names)]
    colour = [by_name[name] for name in (channels[0] if channels else _first(_COLOUR, by_name))]
    name = [by_name[key] for key in _first(_CLASS, by_name)]
    if not table.named:  # r,g,b,class or class,r,g,b; value,class or class,value
        cells = table.rows[0].cells
        numeric = [column for column in table.columns if is_number(cells.get(column, ""))]
        others = [column for column in table.columns if column not in numeric]
        colour = numeric[: 3 if len(numeric) > 2 else 1]
        name = others[:1] or numeric[len(colour) :][:1]
    if not (colour and name):
        raise ValueError(table.listed)
    for row in table.rows:
        cells_of_colour = [row.cells.get(column, "") for column in colour]
        values = cells_of_colour[0] if len(colour) == 1 else cells_of_colour
        yield _colour(values), row.cells.get(name[0], "")


def _first(names: Sequence[str], known: Iterable[str]) -> list[str]:
    return [name for name in names if name in known][:1]


def _colour(value: Any) -> Colour:
    """A colour of ``"#ff0000"``, ``"255 0 0"``, ``[255, 0, 0]`` or one value."""
    if isinstance(value, str) and (code := re.fullmatch(r"#([0-9a-fA-F]{6})", value.strip())):
        return tuple(bytes.fromhex(code[1]))
    if isinstance(value, str):
        value = re.findall(r"\d+", value)
    numbers = tuple(int(number) for number in (value if isinstance(value, list) else [value]))
    if len(numbers) not in (1, 3) or not all(0 <= number <= IGNORE for number in numbers):
        raise ValueError(f"the colour {value!r:.80}")
    return numbers
