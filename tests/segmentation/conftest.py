"""Data that several tests of segmentation read."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.segmentation.helpers import write_pairs


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data set of three images with labels."""
    return write_pairs(tmp_path, 3)
