"""Batch normalisation with fixed statistics in the last part of a training."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from ean_transfer.engine.hooks.freeze_norm import FreezeNormHook
from ean_transfer.errors import ConfigError


def test_statistics_stand_still_from_an_iteration_on_and_weights_keep_learning() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    hook = FreezeNormHook(begin=2)
    means = []
    for iteration in range(4):
        model.train()  # as after a validation
        hook.before_train_iter(SimpleNamespace(iter=iteration, model=model), iteration)
        model(torch.randn(2, 3, 5, 5) + iteration).sum().backward()
        means.append(model[1].running_mean.clone())
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[2]) and torch.equal(means[2], means[3])
    assert model[1].weight.grad is not None
    with pytest.raises(ConfigError, match="begin"):
        FreezeNormHook(-1)
