"""Tversky's loss of mmsegmentation, which docs/segmentation.md advises: weights, ignored pixels."""

from __future__ import annotations

import re
from typing import Any

import pytest
import torch
from mmseg.models.losses import TverskyLoss
from torch import Tensor

from tests.helpers import ROOT


@pytest.fixture
def logits() -> Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 3, 4, 4, requires_grad=True)


@pytest.fixture
def labels() -> Tensor:
    labels = torch.randint(0, 3, (2, 4, 4), generator=torch.Generator().manual_seed(0))
    labels[:, 0] = 255
    return labels


def test_ignored_pixels_have_no_part_in_it(logits: Tensor, labels: Tensor) -> None:
    TverskyLoss(ignore_index=255)(logits, labels).backward()
    assert logits.grad is not None
    assert torch.equal(logits.grad[:, :, 0], torch.zeros(2, 3, 4))
    assert logits.grad[:, :, 1:].abs().min() > 0


def test_with_equal_halves_it_is_dices_loss_by_class(logits: Tensor, labels: Tensor) -> None:
    weights = [1.0, 0.0, 5.0]
    loss = TverskyLoss(alpha=0.5, beta=0.5, class_weight=weights)(logits, labels)
    valid = labels != 255
    total = 0.0
    for label, weight in enumerate(weights):
        for image in range(2):
            p = logits.softmax(dim=1)[image, label][valid[image]]
            truth = (labels[image][valid[image]] == label).float()
            dice = (2 * (p * truth).sum() + 2) / (p.sum() + truth.sum() + 2)
            total += weight * (1 - dice.item()) / 2
    assert float(loss) == pytest.approx(total / 3, rel=1e-5)


def test_alpha_punishes_false_positives_and_beta_false_negatives() -> None:
    loss = TverskyLoss(alpha=0.3, beta=0.7, class_weight=[0.0, 1.0], smooth=0.0)
    for predicted, labels, expected in (
        ([1, 1, 1, 0], [1, 1, 0, 0], 1 - 2 / (2 + 0.3)),  # one false positive
        ([1, 0, 0, 0], [1, 1, 0, 0], 1 - 1 / (1 + 0.7)),  # one false negative
    ):
        logits = 100.0 * torch.nn.functional.one_hot(torch.tensor([[predicted]])).movedim(-1, 1)
        assert 2 * float(loss(logits, torch.tensor([[labels]]))) == pytest.approx(expected)


def test_the_losses_of_the_page_can_be_computed(logits: Tensor, labels: Tensor) -> None:
    page = (ROOT / "docs/segmentation.md").read_text("utf-8")
    (code,) = re.findall(r"```python\n(from mmseg.models.losses.*?)```", page, re.DOTALL)
    model: dict[str, Any] = {"decode_head": {}}
    exec(code, {"model": model})
    for settings in model["decode_head"]["loss_decode"]:
        loss = settings.pop("type")(**settings)(logits, labels, ignore_index=255)
        assert loss.isfinite()
