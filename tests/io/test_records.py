"""Records with a checksum: what was changed after it was written is refused by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ean_transfer.errors import ConfigError
from ean_transfer.io.records import read_record, with_checksum

DATA = {"metrics": {"MAE": 1.5, "mIoU": "nan"}, "seed": 3, "parts": [1, 2]}


def test_is_read_as_it_was_written_with_and_without_a_checksum(tmp_path: Path) -> None:
    file = tmp_path / "a.json"
    for text in (json.dumps(with_checksum(DATA), indent=2), json.dumps(DATA)):
        file.write_text(text)
        assert read_record(file, "a record", "delete it", ["seed"]) == DATA


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (b"", "it is empty"),
        (b'{"seed": 3', "it is torn"),
        (b"\xff\xfe{", "it is torn"),
        (b"[" * 100_000, "it is torn"),
        (b"[3]", "found a list"),
        (b'{"metrics": 1}', "it lacks seed"),
        (json.dumps(with_checksum(DATA)).replace("1.5", "1.7").encode(), "it was changed"),
    ],
    ids=["empty", "torn", "no text", "nested", "a list", "a key missing", "a digit"],
)
def test_anything_else_is_refused_with_what_to_do(
    tmp_path: Path, text: bytes, problem: str
) -> None:
    file = tmp_path / "a.json"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=f"a.json: expected a record, but {problem}.*: delete it"):
        read_record(file, "a record", "delete it", ["seed"])
