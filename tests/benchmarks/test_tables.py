"""Tables of scores: the shipped ones, and other files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks.tables import ScoreTable, shipped_tables
from ean_transfer.errors import DataError


def test_the_shipped_tables_are_whole() -> None:
    tables = [ScoreTable.load(file) for file in shipped_tables().values()]
    assert {table.about["attention"] for table in tables} == {"SE", "SGE", "DIA"}
    for table in tables:
        assert table.blocks == (3, 3, 3) and {"batch", "running"} <= set(table.bn)
        for bn in table.bn:
            for part in ("held_out", "test"):
                accuracy = table.accuracy(bn, part)
                assert accuracy.shape == (512,) and 10.0 <= accuracy.min() < accuracy.max() < 100.0


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    np.savez(tmp_path / "empty.npz", about=np.array("{}"))
    np.save(tmp_path / "plain.npy", np.zeros(3))
    np.save(tmp_path / "code.npy", np.array([{}], dtype=object), allow_pickle=True)
    for name in ("other.npz", "empty.npz", "plain.npy", "code.npy", "gone.npz"):
        with pytest.raises(DataError, match=f"{name}: not a table of scores"):
            ScoreTable.load(tmp_path / name)
