"""A trained segmentor, for the commands that load one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from tests.helpers import CONFIGS


@pytest.fixture(scope="session")
def segmentor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint of the toy segmentation config's network, with attention everywhere."""
    cfg = load_config(CONFIGS / "segmentation" / "toy.py")
    set_ticket(cfg, "full")
    torch.manual_seed(0)
    file = tmp_path_factory.mktemp("segmentor") / "segmentor.pth"
    write_network(MODELS.build(cfg.model), file)
    return file
