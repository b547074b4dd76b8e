"""Scores, and batches as a model takes them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.nn.functional import mse_loss

from ean_transfer.supernet.scoring import ACCURACY, LossScorer, Outcome, as_the_model_takes
from tests.attachment.networks import small


@pytest.mark.parametrize("family", ["resnet", "mobilenet_v2", "convnext"])
def test_images_follow_the_models_memory_format(family) -> None:
    images, labels = torch.rand(2, 3, 8, 8), torch.zeros(2)
    last = torch.channels_last
    for format in (torch.contiguous_format, last):
        batch = as_the_model_takes([{"x": images}, labels], small(family).to(memory_format=format))
        assert batch[0]["x"].is_contiguous(memory_format=last) == (format == last)
        assert torch.equal(batch[0]["x"], images) and torch.equal(batch[1], labels)


@pytest.mark.parametrize("nested", [lambda x: [x, 2 * x], lambda x: {"rgb": x, "depth": 2 * x}])
def test_a_loss_scores_every_image_of_nested_inputs(nested) -> None:
    def model(inputs):
        first, second = inputs.values() if isinstance(inputs, dict) else inputs
        return (first + second).mean(dim=(1, 2, 3))

    images, targets = torch.rand(5, 3, 8, 8), torch.rand(5)
    _, losses = LossScorer(mse_loss).rows(model, (nested(images), targets))
    assert torch.allclose(losses, (3 * images.mean(dim=(1, 2, 3)) - targets) ** 2)


def test_differences_are_paired() -> None:
    draws = np.random.default_rng(0)
    first = draws.random((50, 1)) < 0.7
    second = first ^ (draws.random((50, 1)) < 0.1)
    one, other = (
        Outcome(rows.astype(float), rows[:, 0].astype(np.float32), ACCURACY)
        for rows in (first, second)
    )
    gained = 100.0 * (first.astype(float) - second)
    difference = one.difference(other)
    assert difference.value == pytest.approx(gained.mean())
    assert difference.error == pytest.approx(gained.std(ddof=1) / np.sqrt(50))
    assert np.isnan(
        Outcome(np.ones((1, 1)), np.ones(1), ACCURACY)
        .difference(Outcome(np.ones((1, 1)), np.ones(1), ACCURACY))
        .error
    )
