"""How many threads a worker computes with, and how long a scheduler is waited for."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path

import pytest

from ean_transfer.engine import workers
from ean_transfer.errors import ConfigError

pytest.importorskip("distributed")


def test_workers_share_the_cores_unless_the_user_says_how_many_threads(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("LocalCluster", "Client"):
        monkeypatch.setattr(f"distributed.{name}", lambda *_, **__: nullcontext())
    monkeypatch.setattr(workers, "_cores", lambda: 8)
    for said, number, threads, for_one, for_three in (
        (None, 2, 4, 8, 4),
        (None, 16, 1, 8, 2),
        ("3", 2, 3, 3, 3),
    ):
        if said is None:
            monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
        else:
            monkeypatch.setenv("OMP_NUM_THREADS", said)
        with workers.open_workers(number) as opened:
            assert opened.threads == threads
            assert [opened.among(tasks).threads for tasks in (1, 3)] == [for_one, for_three]


def test_a_schedulers_file_that_never_comes_is_not_waited_for_without_end(tmp_path: Path) -> None:
    with (
        pytest.raises(ConfigError, match=r"gone\.json: expected the file .* found none in 0\.05 s"),
        workers.open_workers(scheduler_file=str(tmp_path / "gone.json"), timeout=0.05),
    ):
        pass
