"""What the tests share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config

import ean_transfer._openmmlab  # noqa: F401
from ean_transfer.launch import load_config

ROOT = Path(__file__).parents[1]


@pytest.fixture(autouse=True, scope="session")
def _one_thread() -> None:
    # Toy networks gain nothing from more, and lose a lot on a busy machine.
    torch.set_num_threads(1)


@pytest.fixture
def toy():
    """Loads a toy config made tiny: ``toy("classification/toy_search", search=dict(steps=4))``."""

    def load(name: str, **changes: Any) -> Config:
        cfg = load_config(ROOT / "configs" / f"{name}.py")
        for part, length in (("train", 64), ("val", 40), ("test", 40)):
            loader = cfg[f"{part}_dataloader"]
            loader.dataset.length = length
            loader.batch_size = min(loader.batch_size, 16)
        cfg.train_cfg.max_epochs = 1
        cfg.param_scheduler = []
        cfg.log_level = "WARNING"
        cfg.merge_from_dict(changes)
        return cfg

    return load


def checkpoint_in(folder: Path) -> Path:
    """The checkpoint that a toy training wrote."""
    (found,) = folder.glob("epoch_*.pth")
    return found
