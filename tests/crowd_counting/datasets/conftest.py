"""What the tests of the data sets share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def quick_construction(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmengine collects garbage for each data set, which takes longer than these tests."""
    monkeypatch.setattr("mmengine.dataset.base_dataset.gc.collect", lambda: 0)
