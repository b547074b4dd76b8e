"""Masks scored on the frozen supernet, with each kind of BatchNorm statistics."""

from __future__ import annotations

import copy
import errno
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from torch.utils.data import DataLoader

from ean_transfer.classification import ClassificationScorer
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.ticket import TicketError

SCORER = ClassificationScorer()
FULL, NONE = (True,) * 6, (False,) * 6


class Counted:
    """A data set that counts how many samples were read."""

    in_drawn_order = True

    def __init__(self, dataset: Any) -> None:
        self.dataset = dataset
        self.reads = 0

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: int) -> Any:
        self.reads += 1
        return self.dataset[index]


@pytest.mark.parametrize("bn", BN_STATISTICS)
def test_scoring_leaves_the_supernet_as_it_was(parts, bn: str) -> None:
    model, loader = parts
    before = copy.deepcopy(model.state_dict())
    flags = [(m.training, getattr(m, "momentum", None)) for m in model.modules()]
    MaskEvaluator(model, loader, SCORER, bn).score((True, False) * 3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert flags == [(m.training, getattr(m, "momentum", None)) for m in model.modules()]
    assert model.backbone.mask == FULL


def test_batch_statistics_equal_a_forward_in_training_mode(parts) -> None:
    model, loader = parts
    mask = (True, False, False, True, True, False)
    score = MaskEvaluator(model, loader, SCORER).score(mask)

    reference = copy.deepcopy(model).train()
    reference.backbone.set_mask(mask)
    correct = images = 0
    for raw in loader:
        data = reference.data_preprocessor(raw, training=False)
        labels = torch.cat([s.gt_label for s in data["data_samples"]])
        with torch.no_grad():
            correct += int((reference(data["inputs"], mode="tensor").argmax(1) == labels).sum())
        images += len(labels)
    assert score.images == images == 40
    assert score.metric == pytest.approx(100 * correct / images)


def test_the_three_kinds_of_statistics_differ_and_repeat(parts) -> None:
    model, loader = parts
    losses = {bn: MaskEvaluator(model, loader, SCORER, bn).score(NONE).loss for bn in BN_STATISTICS}
    assert len(set(losses.values())) == 3
    assert losses == {
        bn: MaskEvaluator(model, loader, SCORER, bn).score(NONE).loss for bn in BN_STATISTICS
    }


def test_images_that_do_not_fit_into_memory_are_read_again(parts) -> None:
    model, loader = parts
    small = MaskEvaluator(model, loader, SCORER, max_cached_bytes=1)
    assert (
        small.score(FULL) == small.score(FULL) == MaskEvaluator(model, loader, SCORER).score(FULL)
    )
    assert small.held_out._cached is None


def test_images_that_do_not_fit_into_memory_are_read_from_the_disk(parts, tmp_path: Path) -> None:
    model, loader = parts
    counted = Counted(loader.dataset)
    again = DataLoader(counted, batch_size=loader.batch_size, collate_fn=loader.collate_fn)
    small = MaskEvaluator(model, again, SCORER, max_cached_bytes=1, folder=tmp_path)
    expected = MaskEvaluator(model, loader, SCORER).score(FULL)
    assert [small.score(FULL) for _ in range(4)] == [expected] * 4
    assert counted.reads == 2 * 40  # once to see that they do not fit
    assert not list(tmp_path.iterdir())  # nothing is left, however the process ends


def test_a_full_disk_costs_time_and_no_result(parts, tmp_path: Path, monkeypatch) -> None:
    def fails(batch: Any, folder: Path) -> Any:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("ean_transfer.supernet.held_out.on_disk", fails)
    model, loader = parts
    small = MaskEvaluator(model, loader, SCORER, max_cached_bytes=1, folder=tmp_path)
    expected = MaskEvaluator(model, loader, SCORER).score(FULL)
    assert [small.score(FULL) for _ in range(3)] == [expected] * 3


def test_unknown_statistics_and_a_model_without_ticketed_backbone_are_refused(parts) -> None:
    model, loader = parts
    with pytest.raises(ConfigError, match="batch, recalibrated, running"):
        MaskEvaluator(model, loader, SCORER, "own")
    with pytest.raises(ConfigError, match="no ticketed backbone"):
        MaskEvaluator(torch.nn.Linear(2, 2), loader, SCORER)


@pytest.mark.parametrize("bn", BN_STATISTICS)
def test_scores_of_masks_together_are_those_of_each_alone(parts, bn: str) -> None:
    evaluator = MaskEvaluator(*parts, SCORER, bn)
    masks = list(itertools.product((True, False), repeat=6))[::5]
    assert evaluator.scores(masks) == [evaluator.score(mask) for mask in masks]


def test_recalibrated_statistics_are_those_of_a_network_that_went_over_the_images(parts) -> None:
    model, loader = parts
    mask = (True, False, False, True, True, False)
    ours = MaskEvaluator(model, loader, SCORER, "recalibrated").outcomes([mask])[mask]

    reference = copy.deepcopy(model)
    reference.backbone.set_mask(mask)
    batches = [reference.data_preprocessor(raw, training=False) for raw in loader]
    for layer in reference.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.reset_running_stats()
            layer.momentum = None
    with torch.no_grad():
        reference.train()
        for data in batches:
            reference(data["inputs"], mode="tensor")
        reference.eval()
        logits = torch.cat([reference(data["inputs"], mode="tensor") for data in batches])
    labels = torch.cat([s.gt_label for data in batches for s in data["data_samples"]])
    expected = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
    assert np.allclose(ours.loss, expected, atol=1e-5)
    assert np.array_equal(ours.rows[:, 0], logits.argmax(1) == labels)


def test_fewer_images_are_the_first_whole_batches(parts) -> None:
    model, loader = parts  # 40 images in batches of 16
    mask = (True,) * 6
    everything = MaskEvaluator(model, loader, SCORER)
    part = MaskEvaluator(model, loader, SCORER, images=20)
    assert part.score(mask).images == 32
    assert np.array_equal(
        part.outcomes([mask])[mask].loss, everything.outcomes([mask])[mask].loss[:32]
    )
    assert part.on_all_images().score(mask) == everything.score(mask)


def test_a_mask_asked_for_twice_and_none_at_all(parts) -> None:
    evaluator = MaskEvaluator(*parts, SCORER)
    one, other = (True,) * 6, (False,) * 6
    first, second, third = evaluator.scores([one, other, one])
    assert first == third != second
    assert evaluator.scores([]) == []


def test_masks_of_another_length_and_a_network_that_is_no_supernet_are_refused(toy, parts) -> None:
    model, loader = parts
    for bits in (5, 9):
        with pytest.raises(TicketError, match=f"resnet14_cifar has 6 blocks.*found {bits} values"):
            MaskEvaluator(model, loader, SCORER).score((True,) * bits)
    cfg = toy("classification/toy")
    cfg.model.backbone.ticket = dict(
        model.backbone.ticket.with_mask((True, False) * 3).model_dump(mode="json")
    )
    with pytest.raises(ConfigError, match="masks are scored on a supernet.*ticket 10 10 10"):
        MaskEvaluator(MODELS.build(cfg.model), loader, SCORER)


@pytest.mark.parametrize("bn", ("batch", "recalibrated"))
def test_an_image_that_is_left_over_is_not_normalised_by_itself(parts, bn: str) -> None:
    model, loader = parts  # 40 images
    mask = (True, False) * 3

    def evaluator(size: int, images: int | None = None) -> MaskEvaluator:
        batches = DataLoader(loader.dataset, batch_size=size, collate_fn=loader.collate_fn)
        return MaskEvaluator(model, batches, SCORER, bn, images)

    def sizes(scoring: MaskEvaluator) -> list[int]:
        return [len(batch["data_samples"]) for batch in scoring.held_out]

    left_over = evaluator(39)  # 39 and 1
    assert sizes(left_over) == [40]
    assert left_over.score(mask) == evaluator(40).score(mask)
    assert sizes(evaluator(13)) == [13, 13, 14]
    assert sizes(evaluator(19)) == [19, 19, 2]
    assert evaluator(13, images=14).images == 26
    assert evaluator(13, images=27).images == evaluator(13, images=14).on_all_images().images == 40
    with pytest.raises(ConfigError, match="least 2 held-out images per batch.*40 in batches of"):
        evaluator(1)


def test_running_statistics_score_images_one_by_one(parts) -> None:
    model, loader = parts
    single = DataLoader(loader.dataset, batch_size=1, collate_fn=loader.collate_fn)
    one_by_one = MaskEvaluator(model, single, SCORER, "running").score(FULL)
    assert one_by_one.loss == pytest.approx(
        MaskEvaluator(model, loader, SCORER, "running").score(FULL).loss
    )
