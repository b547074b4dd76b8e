"""Settings, arguments and records: each mistake in one line that names the field and the value."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar, Literal

import pytest

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.checked import Checked, Positive, Share, checked_arguments
from ean_transfer.io.records import JSONFile


class Inner(Checked):
    sizes: tuple[Positive, ...]


class Record(JSONFile):
    what = "record"
    error: ClassVar[type[DataError]] = DataError

    version: Literal[1] = 1
    inner: Inner


@checked_arguments
def function(width: Positive, share: Share = 0.5, *, mode: Literal["a", "b"] = "a") -> float:
    return width * share


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "settings: field 'sizes' is missing"),
        ({"sizes": (1,), "size": 2}, "settings: unknown field 'size'"),
        ({"sizes": (1, 0)}, "settings: sizes.1: expected greater .* 1, found 0"),
        ({"sizes": ("1",)}, "settings: sizes.0: expected .*integer, found '1'"),
        ({"sizes": (1,), "self": 1}, "settings: unknown field 'self'"),
    ],
)
def test_fields_are_checked(fields: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=f"^{message}$"):
        Inner(**fields)


@pytest.mark.parametrize(
    ("positional", "named", "message"),
    [
        ((0,), {}, "width: .*found 0"),
        ((1, 2.0), {}, "share: .*found 2.0"),
        ((1,), {"mode": "c"}, "mode: expected 'a' or 'b', found 'c'"),
        ((1,), {"mod": "a"}, "unknown field 'mod'"),
        ((), {}, "field 'width' is missing"),
    ],
)
def test_arguments_are_checked(positional: tuple, named: dict, message: str) -> None:
    assert function(4) == 2
    with pytest.raises(ConfigError, match=f"^function: {message}$"):
        function(*positional, **named)


def test_record_is_read_as_it_was_written(tmp_path: Path) -> None:
    record = Record(inner=Inner(sizes=(1, 2)))
    assert Record.load(record.save(tmp_path / "made" / "on the way" / "a.json")) == record


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "a.json: no record: .*JSON.*line 1"),
        ("[]", "a.json: no record: expected an object"),
        ('{"inner": {"sizes": [1, 0]}}', "a.json: no record: inner.sizes.1: .*found 0"),
        ('{"version": 2, "inner": {"sizes": []}}', "version 2, .* reads version 1: update"),
    ],
)
def test_broken_record_is_named(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        Record.load(tmp_path / "a.json")


def test_missing_record_and_folder_are_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a.json: no such record"):
        Record.load(tmp_path / "a.json")
    with pytest.raises(DataError, match="cannot be read .*directory"):
        Record.load(tmp_path)
