"""The measure of how far a file's outputs are from the network's."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from ean_transfer.export.comparison import differences, worst_differences


@pytest.mark.parametrize(
    ("counts", "difference"),
    [
        ([0.5, 200.0], 0.0),
        ([0.6, 200.0], 0.1),  # absolute below 1
        ([0.5, 210.0], 0.05),  # relative above
        ([0.5], torch.inf),
        ([torch.nan, 200.0], torch.nan),
    ],
)
def test_numbers_differ_absolutely_below_one_and_relatively_above(
    counts: list[float], difference: float
) -> None:
    expected = {"counts": torch.tensor([0.5, 200.0])}
    measured = differences({"counts": torch.tensor(counts)}, expected)["counts"]
    assert float(measured) == pytest.approx(difference, nan_ok=True)


@pytest.mark.parametrize(
    ("logits", "label", "difference"),
    [
        ((4.0, 3.9996), 0, 0.0),
        ((4.0, 3.9996), 1, 1e-4),  # relative to the largest
        ((0.3, 0.2), 1, 0.1),  # absolute, where the largest is below 1
        ((-0.2, 5.0), 0, 1.04),
    ],
)
def test_labels_may_differ_where_their_logits_hardly_do(
    logits: tuple[float, ...], label: int, difference: float
) -> None:
    pixel = torch.tensor(logits).reshape(1, 2, 1, 1)
    expected = {"labels": pixel.argmax(1), "logits": pixel}
    outputs = {"labels": torch.tensor([[[label]]]), "logits": pixel}
    assert differences(outputs, expected)["labels"] == pytest.approx(difference, rel=1e-2)


def test_one_wrong_batch_is_not_forgotten() -> None:
    def expected(images: Tensor) -> dict[str, Tensor]:
        return {"mean": images.float().mean(dim=(1, 2, 3))}

    def exported(images: Tensor) -> dict[str, Tensor]:
        wrong = torch.nan if images.shape[-1] == 5 else 0.0
        return {"mean": expected(images)["mean"] + wrong}

    assert worst_differences(exported, expected, [(1, 4, 4)])["mean"] == 0
    worst = worst_differences(exported, expected, [(1, 4, 5), (2, 4, 4)])["mean"]
    assert worst == pytest.approx(torch.nan, nan_ok=True)
