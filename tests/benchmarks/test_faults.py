"""Runs that are killed or whose files are damaged: the short form of ``benchmark.py faults``."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks import faults
from ean_transfer.errors import DataError
from tests.helpers import ROOT


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="forks, and limits the size of files")
def test_a_training_that_is_killed_or_torn_resumes_exactly_or_is_refused(tmp_path: Path) -> None:
    # A process of its own: it forks, which a process with threads should not.
    out = tmp_path / "faults.json"
    arguments = ["--runs", "training", "--kills", "3", "--tears", "1", "--flips", "20"]
    tool = [sys.executable, ROOT / "tools/benchmark.py", "faults", *arguments, "--out", out]
    subprocess.run(tool, cwd=ROOT, check=True, capture_output=True)
    results = json.loads(out.read_text())
    outcomes = {trial["outcome"] for trial in results["trials"]}
    assert outcomes <= {"exact", "refused"} and len(results["trials"]) > 6
    assert sum(counts["exact"] for counts in results["kills"].values()) == 3
    (flipped,) = results["flipped"].values()
    assert flipped["refused"] + flipped.get("exact", 0) == 20


def test_a_flip_that_is_read_as_another_value_or_ends_in_a_traceback_is_told(
    tmp_path: Path,
) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"1")

    def read(path: Path) -> int:
        value = path.read_bytes()[0]
        if value > 127:
            raise DataError("refused")
        return value // 2 if value != ord("3") else int("x")

    outcomes = faults.flips(file, read, 200, random.Random(0))
    assert set(outcomes) == {"exact", "refused", "wrong"}
    assert file.read_bytes() == b"1"


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("epoch_3.pth", "epoch_N.pth"),
        ("supernet_1/last_checkpoint", "last_checkpoint"),
        ("20260101_101010/20260101_101010.log", "logs, configs, pictures, tables"),
        ("search.png", "logs, configs, pictures, tables"),
        ("classes/none/seed0/metrics.json", "metrics.json"),
    ],
)
def test_files_are_counted_by_kind(name: str, kind: str) -> None:
    assert faults.kind_of(Path(name)) == kind
