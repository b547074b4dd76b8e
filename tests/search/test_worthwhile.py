"""Before a search: whether none and full differ by enough, or what it would take to know."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
import torchvision

from ean_transfer import attach, build_backbone
from ean_transfer.attachment.network import find_backbone
from ean_transfer.search.worthwhile import CERTAIN, images_to_see, silent_places, worthwhile
from ean_transfer.supernet.scoring import ACCURACY, LOSS, Metric, Outcome


def ends(gain: float, noise: float, images: int = 100, metric: Metric = LOSS):
    """Outcomes of none and full, of which full's loss is lower by exactly the gain."""
    hardness = np.linspace(0.0, 3.0, images)
    errors = noise * np.resize([1.0, -1.0], images)
    none, full = hardness, hardness - gain + errors
    return tuple(Outcome(one[:, None], one.astype(np.float32), metric) for one in (none, full))


@pytest.mark.parametrize(
    ("gain", "noise", "answer"),
    [
        (0.001, 0.01, "no"),  # the error is 0.001: an advantage of 0.02 is ruled out
        (-0.05, 0.01, "no"),
        (0.05, 0.01, "yes"),
        (0.015, 0.1, "cannot be told yet"),
    ],
)
def test_the_answer(gain: float, noise: float, answer: str) -> None:
    looked = worthwhile(*ends(gain, noise), size=0.02)
    assert looked.answer == answer and str(looked).startswith(answer)
    assert looked.gain == pytest.approx(gain, abs=1e-6)
    assert looked.error == pytest.approx(noise / 10, rel=0.01)
    assert ("leave attention out" in str(looked)) == (answer == "no")


def test_what_cannot_be_told_yet_takes_a_number_of_images() -> None:
    looked = worthwhile(*ends(0.0, 0.1), size=0.01)
    assert looked.images_needed == math.ceil(100 * (2.8 * looked.error / 0.01) ** 2)
    assert f"about {looked.images_needed:.0f} images" in str(looked)


@pytest.mark.parametrize("bound", [CERTAIN, 4.8])
def test_on_that_many_images_the_difference_is_seen_four_times_in_five(bound: float) -> None:
    size, noise = 0.01, 0.1
    images = int(images_to_see(size, 400, noise / 20, bound))
    draws = np.random.default_rng(0).normal(size, noise, (2000, images))
    seen = draws.mean(axis=1) > bound * draws.std(axis=1, ddof=1) / np.sqrt(images)
    assert seen.mean() == pytest.approx(0.8, abs=0.03)


def test_accuracy_counts_upwards() -> None:
    none, full = ends(0.0, 0.0, metric=ACCURACY)
    full = Outcome(none.rows + 0.02, full.loss, ACCURACY)
    looked = worthwhile(none, full, size=1.0, quality=ACCURACY)
    assert looked.gain == pytest.approx(2.0) and looked.answer == "yes"


def test_one_number_per_mask_gives_no_answer() -> None:
    looked = worthwhile(*ends(0.5, 0.0, images=1), size=0.1)
    assert math.isnan(looked.error) and looked.answer == "cannot be told yet"
    assert "one number per mask" in str(looked)
    assert math.isnan(images_to_see(0.1, 1, math.nan))
    assert images_to_see(0.0, 100, 0.1) == math.inf


@pytest.mark.parametrize("attention", ["SE", dict(type="SGE", groups=4)])
def test_a_branch_that_starts_at_zero_is_silent_until_it_is_trained(attention) -> None:
    network = build_backbone("resnet14_cifar", attention, ticket="full", zero_init_residual=True)
    network.init_weights()
    assert silent_places(network) == [0, 1, 2, 3, 4, 5]
    with torch.no_grad():
        network.places[2].norm2.weight.fill_(0.3)
    assert silent_places(network) == [0, 1, 3, 4, 5]
    options = dict(ticket="full", zero_init_residual=False)
    assert silent_places(build_backbone("resnet14_cifar", attention, **options)) == []


def test_layer_scales_near_zero_are_silent_on_attached_networks() -> None:
    model = torchvision.models.convnext_tiny()
    attach(model, "ECA")
    assert silent_places(find_backbone(model)) == list(range(18))
    with torch.no_grad():
        model.features[1][0].layer_scale.fill_(0.3)
    assert silent_places(find_backbone(model)) == list(range(1, 18))
