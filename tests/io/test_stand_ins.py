"""NumPy's values and log histories: every plain type is read, and nothing that is more."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.logging import HistoryBuffer
from numpy._core.multiarray import _reconstruct

from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import read_checkpoint
from tests.io.helpers import Reduced, rewritten

PLAIN = [code for code in np.typecodes["All"] if code not in "OV"]
PLAIN += ["S5", "U3", "M8[ns]", "m8[25s]", ">f8", ">i2"]


def arrays(code: str) -> list[Any]:
    kind = np.dtype(code)
    values = np.arange(6).astype(kind).reshape(2, 3)
    return [values, np.asfortranarray(values), values[:0], values[0, 1].reshape(()), values[0, 1]]


@pytest.mark.parametrize("numpy", ["numpy.core.multiarray", "numpy._core.multiarray"])
@pytest.mark.parametrize("code", PLAIN)
def test_arrays_and_numbers_of_numpy_1_and_2_are_read(
    tmp_path: Path, numpy: str, code: str
) -> None:
    history = HistoryBuffer()
    history._log_history, *others = arrays(code)
    torch.save({"state_dict": {}, "message_hub": [history, *others]}, tmp_path / "written.pth")
    present = np.zeros(1).__reduce__()[0].__module__
    file = rewritten(tmp_path / "written.pth", {present.encode(): numpy.encode()})
    read, *others = read_checkpoint(file)["message_hub"]
    assert type(read) is HistoryBuffer
    for value, expected in zip([read._log_history, *others], arrays(code), strict=True):
        assert np.array_equal(value, expected)
        assert value.dtype == expected.dtype.newbyteorder("=")
        assert isinstance(value, np.ndarray) == isinstance(expected, np.ndarray)


def test_what_was_read_is_written_as_numpys_own(tmp_path: Path) -> None:
    for _ in range(2):
        torch.save({"meta": {"x": np.arange(3.0)}}, tmp_path / "a.pth")
        torch.save(read_checkpoint(tmp_path / "a.pth"), tmp_path / "b.pth")
    with zipfile.ZipFile(tmp_path / "b.pth") as archive:
        assert b"ean_transfer" not in archive.read("b/data.pkl")
    assert read_checkpoint(tmp_path / "b.pth")["meta"]["x"].tolist() == [0, 1, 2]


OBJECT = Reduced(np.dtype, ("O8", False, True))
POINTERS = Reduced(
    np.dtype, ("V8", False, True), (3, "|", None, ("a",), {"a": (OBJECT, 0)}, 8, 1, 0)
)


@pytest.mark.parametrize(
    ("kind", "shape", "data"),
    [
        pytest.param(POINTERS, (1,), b"A" * 8, id="bytes as addresses of objects"),
        pytest.param(OBJECT, (1,), ["text"], id="objects"),
        pytest.param(Reduced(np.dtype, ("i4,O",)), (1,), b"A" * 12, id="a type with parts"),
        pytest.param(Reduced(np.dtype, ("f8",)), (1 << 40,), b"A" * 8, id="more than its bytes"),
        pytest.param(Reduced(np.dtype, ("f8",)), (1 << 62, 4), b"A" * 8, id="overflow"),
    ],
)
def test_crafted_types_and_shapes_are_refused(tmp_path: Path, kind, shape, data) -> None:
    crafted = Reduced(_reconstruct, (np.ndarray, (0,), b"b"), (1, shape, kind, False, data))
    torch.save({"meta": {"x": crafted}}, tmp_path / "crafted.pth")
    with pytest.raises(CheckpointError, match="crafted.pth"):
        read_checkpoint(tmp_path / "crafted.pth")


def test_a_history_brings_no_functions(tmp_path: Path) -> None:
    history = HistoryBuffer([1.0, 3.0], [1, 1])
    state = dict(history.__getstate__(), statistics_methods={"mean": torch.Size}, more=1)
    crafted = Reduced(HistoryBuffer, (), state)
    torch.save({"message_hub": [history, crafted]}, tmp_path / "history.pth")
    for history in read_checkpoint(tmp_path / "history.pth")["message_hub"]:
        assert type(history) is HistoryBuffer
        assert history.statistics("mean") == 2
        assert not hasattr(history, "more")
