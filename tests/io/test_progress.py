"""Progress where there is no terminal: lines from time to time, no animation."""

from __future__ import annotations

import pytest

from ean_transfer.io import progress


@pytest.mark.parametrize(("seconds", "lines"), [(3600.0, 0), (0.0, 3)])
def test_a_log_gets_a_line_now_and_then(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    seconds: float,
    lines: int,
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_PER_LINE", seconds)
    with progress.progress_bar() as bar:
        task = bar.add_task("train", total=40, note="")
        bar.update(task, completed=10, note="loss 0.5")
        bar.update(task, completed=20)
        bar.advance(task)
    shown = capsys.readouterr().err.splitlines()
    assert len(shown) == lines
    if lines:
        assert shown[0].startswith("train: 10 of 40, loss 0.5") and "21 of 40" in shown[2]
    assert "\x1b" not in "".join(shown)
