"""Masks in training, and masks scored on the frozen supernet."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ean_transfer.engine.hooks.random_masks import RandomMaskHook
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import MaskEvaluator, random_mask
from ean_transfer.supernet.evaluation import BN_STATISTICS

FULL, NONE = (True,) * 6, (False,) * 6


@pytest.fixture
def parts(toy):
    cfg = toy("classification/toy_supernet")
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    model.init_weights()
    # Running statistics that belong to nobody, as a supernet's.
    with torch.no_grad():
        model.train()
        for _ in range(3):
            model(torch.randn(8, 3, 24, 24), mode="tensor")
    return model, Runner.build_dataloader(cfg.val_dataloader, seed=0)


def test_masks_are_a_seeded_stream_with_the_asked_probability() -> None:
    masks = [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks == [random_mask(9, seed=1, index=i, probability=0.8) for i in range(400)]
    assert masks != [random_mask(9, seed=2, index=i, probability=0.8) for i in range(400)]
    assert sum(map(sum, masks)) / 3600 == pytest.approx(0.8, abs=0.03)


def test_the_hook_sets_one_mask_an_iteration_whatever_came_before(parts) -> None:
    model, _ = parts
    hook = RandomMaskHook()
    hook.before_train(SimpleNamespace(model=model, seed=7))
    seen = []
    for iteration in (0, 1, 2, 1):  # a resumed training repeats an iteration
        hook.before_train_iter(SimpleNamespace(model=model, iter=iteration, seed=7), 0)
        seen.append(model.backbone.mask)
    assert seen[1] == seen[3] and len(set(seen)) == 3
    hook.after_train(SimpleNamespace(model=model))
    assert model.backbone.mask == FULL


@pytest.mark.parametrize("bn", BN_STATISTICS)
def test_scoring_leaves_the_supernet_as_it_was(parts, bn: str) -> None:
    model, loader = parts
    before = copy.deepcopy(model.state_dict())
    flags = [(m.training, getattr(m, "momentum", None)) for m in model.modules()]
    MaskEvaluator(model, loader, bn).score((True, False) * 3)
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())
    assert flags == [(m.training, getattr(m, "momentum", None)) for m in model.modules()]
    assert model.backbone.mask == FULL


def test_batch_statistics_equal_a_forward_in_training_mode(parts) -> None:
    model, loader = parts
    mask = (True, False, False, True, True, False)
    score = MaskEvaluator(model, loader).score(mask)

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
    assert score.accuracy == pytest.approx(100 * correct / images)


def test_the_three_kinds_of_statistics_differ_and_repeat(parts) -> None:
    model, loader = parts
    losses = {bn: MaskEvaluator(model, loader, bn).score(NONE).loss for bn in BN_STATISTICS}
    assert len(set(losses.values())) == 3
    assert losses == {bn: MaskEvaluator(model, loader, bn).score(NONE).loss for bn in BN_STATISTICS}


def test_images_that_do_not_fit_into_memory_are_read_again(parts) -> None:
    model, loader = parts
    small = MaskEvaluator(model, loader, max_cached_bytes=1)
    assert small.score(FULL) == small.score(FULL) == MaskEvaluator(model, loader).score(FULL)
    assert small._cached is None


def test_unknown_statistics_and_a_model_without_ticketed_backbone_are_refused(parts) -> None:
    model, loader = parts
    with pytest.raises(ConfigError, match="batch, recalibrated, running"):
        MaskEvaluator(model, loader, "own")
    with pytest.raises(ConfigError, match="no ticketed backbone"):
        MaskEvaluator(torch.nn.Linear(2, 2), loader)
