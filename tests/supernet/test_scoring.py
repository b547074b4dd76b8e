"""Scores, and batches as a model takes them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn.functional import mse_loss

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.batches import as_the_model_takes
from ean_transfer.supernet.scoring import ACCURACY, LossScorer, Outcome
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


class Answer(NamedTuple):
    values: torch.Tensor
    auxiliary: torch.Tensor | None
    penalty: torch.Tensor


def test_a_loss_scores_every_image_of_nested_outputs() -> None:
    def model(images):
        return {"answer": Answer(images.mean(dim=(1, 2, 3)), None, torch.tensor(2.0))}

    def loss(outputs, targets):
        wanted, names = targets
        assert names == ["a.png", "b.png"]
        return mse_loss(outputs["answer"].values, wanted) + outputs["answer"].penalty

    images, targets = torch.rand(2, 3, 8, 8), torch.rand(2)
    _, losses = LossScorer(loss).rows(model, (images, (targets, ["a.png", "b.png"])))
    assert torch.allclose(losses, (images.mean(dim=(1, 2, 3)) - targets) ** 2 + 2.0)


class Output(dict):
    """A dict whose values are attributes as well, as what networks of transformers return."""

    def __setitem__(self, key: str, value: object) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)


def test_a_loss_takes_an_images_outputs_as_it_takes_a_batchs() -> None:
    def model(images):
        output = Output()
        output["means"] = images.mean(dim=(1, 2, 3))
        return output

    images, targets = torch.rand(2, 3, 8, 8), torch.rand(2)
    loss = LossScorer(lambda outputs, targets: mse_loss(outputs.means, targets))
    _, losses = loss.rows(model, (images, targets))
    assert torch.allclose(losses, (images.mean(dim=(1, 2, 3)) - targets) ** 2)


@dataclass
class Opaque:
    values: torch.Tensor


@pytest.mark.parametrize(
    ("output", "found"),
    [
        (lambda images: images.repeat(2, 1, 1, 1), r"Tensor \(10, 3, 8, 8\)"),  # two per image
        (lambda images: [images[0]], r"Tensor \(3, 8, 8\)"),  # a list of images
        (Opaque, "Opaque"),
    ],
)
def test_outputs_that_are_not_divided_into_images_are_refused(output, found) -> None:
    batch = torch.rand(5, 3, 8, 8), torch.rand(5)
    with pytest.raises(ConfigError, match=f"first axis is that of the 5 images, found {found}"):
        LossScorer(lambda outputs, targets: torch.zeros(())).rows(output, batch)


@pytest.mark.parametrize("form", [lambda x: x, lambda x: {"loss": x}, lambda x: (x, [x])])
def test_the_loss_of_a_batch_is_not_taken_for_that_of_each_image(form) -> None:
    scorer = LossScorer(lambda outputs, targets: torch.zeros(()))
    with pytest.raises(ConfigError, match="each of the 5 images, found single numbers"):
        scorer.rows(lambda images: form(images.mean()), (torch.rand(5, 3, 8, 8), torch.rand(5)))
    one_image = torch.rand(1, 3, 8, 8), torch.rand(1)
    scorer.rows(lambda images: form(images.mean()), one_image)


def test_a_loss_is_one_number_and_a_batch_a_pair() -> None:
    images, targets = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    scorer = LossScorer(partial(mse_loss, reduction="none"))
    with pytest.raises(ConfigError, match=r"one number.*found Tensor \(1, 3, 8, 8\)"):
        scorer.rows(nn.Identity(), (images, targets))
    for batch, found in (({"x": images, "y": targets}, "dict"), ((images,) * 3, "tuple of 3")):
        with pytest.raises(ConfigError, match=f"inputs and targets, found {found}"):
            scorer.rows(nn.Identity(), batch)


def test_a_model_that_changes_its_inputs_is_refused() -> None:
    class Normalising(nn.Module):
        def forward(self, x):
            x[:, 0] -= 0.5
            return x

    images, targets = torch.rand(2, 3, 8, 8), torch.rand(2, 3, 8, 8)
    with pytest.raises(ConfigError, match="Normalising changes its inputs in place"):
        LossScorer(mse_loss).rows(Normalising(), (images, targets))


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
