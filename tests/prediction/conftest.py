"""A network of each task with random weights, as a training would leave it in its work dir."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from tests.helpers import CONFIGS

TASKS = ("classification", "segmentation", "crowd_counting")


class Trained(NamedTuple):
    """A work dir with the config ``toy.py`` and a checkpoint.

    Attributes:
        config: The config in the repository, which says no ticket.
        folder: The work dir.
        checkpoint: The checkpoint in it, with attention everywhere.
    """

    config: Path
    folder: Path
    checkpoint: Path

    @property
    def cfg(self) -> Config:
        return load_config(self.config)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Trained]:
    """A network for each task."""
    networks = {}
    for task in TASKS:
        config = CONFIGS / task / "toy.py"
        cfg = load_config(config)
        set_ticket(cfg, "full")
        folder = tmp_path_factory.mktemp(task)
        torch.manual_seed(0)
        checkpoint = folder / "epoch_1.pth"
        write_network(MODELS.build(cfg.model), checkpoint)
        (folder / "last_checkpoint").write_text(str(checkpoint))
        cfg.dump(folder / "toy.py")
        networks[task] = Trained(config, folder, checkpoint)
    return networks


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    """An image file of 90 x 70 pixels."""
    file = tmp_path / "in" / "photo.png"
    file.parent.mkdir()
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    cv2.imwrite(str(file), pixels)
    return file
