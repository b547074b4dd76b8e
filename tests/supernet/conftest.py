"""A supernet and its held-out images."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner
from torch.utils.data import DataLoader


@pytest.fixture
def parts(toy) -> tuple[Any, DataLoader]:
    """A toy supernet, and a loader of 40 images in batches of 16."""
    cfg = toy("classification/toy_supernet")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    # Running statistics that belong to no mask, as a trained supernet's.
    with torch.no_grad():
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, 24, 24), mode="tensor")
    return model, Runner.build_dataloader(cfg.val_dataloader, seed=0)
