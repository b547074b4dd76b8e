"""Masks of a counter scored as in its test and its training: errors and losses of each image."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ean_transfer.crowd_counting import (
    CountingMetric,
    CountingScorer,
    CountL1,
    DensityMap,
    DensityMSE,
    DMCountLoss,
    PackCountingInputs,
)
from ean_transfer.errors import ConfigError
from ean_transfer.search.quality import qualities
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.supernet import MaskEvaluator

FULL, SOME, NONE = (True,) * 6, (True, False, False, True, True, False), (False,) * 6
LOSSES = [dict(type=DensityMSE), dict(type=CountL1, loss_weight=0.25), dict(type=DMCountLoss)]
WITH_MAPS = [dict(type=DensityMap, stride=4, sigma=2.0), dict(type=PackCountingInputs)]


@pytest.fixture
def parts(toy) -> Any:
    """Builds a toy counter with every connection, and a loader of 12 images, in batches of 5."""

    def build(losses: Any = LOSSES, pipeline: Any = WITH_MAPS) -> Any:
        cfg = toy("crowd_counting/toy", **{"val_dataloader.dataset.length": 12})
        cfg.model.update(losses=losses)
        cfg.model.backbone.ticket = "full"
        cfg.val_dataloader.dataset.pipeline = pipeline
        cfg.val_dataloader.batch_size = 5
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        with torch.no_grad():
            for _ in range(20):  # running statistics that fit
                model.train()(torch.randn(8, 3, 48, 48))
        return model.eval(), Runner.build_dataloader(cfg.val_dataloader, seed=0)

    return build


@pytest.mark.parametrize("mask", [FULL, SOME, NONE])
def test_the_error_is_the_mae_of_the_metric(parts, mask) -> None:
    model, images = parts()
    score = MaskEvaluator(model, images, CountingScorer(), "running").score(mask)
    model.backbone.set_mask(mask)
    metric = CountingMetric(game_levels=(0,))
    for raw in images:
        with torch.no_grad():
            metric.process(raw, [sample.to_dict() for sample in model.test_step(raw)])
    assert score.images == 12
    assert score.metric == pytest.approx(metric.evaluate(12)["MAE"], rel=1e-5)


@pytest.mark.parametrize("losses", [LOSSES, [LOSSES[0]], [LOSSES[1]]], ids=["all", "map", "count"])
def test_losses_are_the_models_own_on_a_batch_of_one(parts, losses) -> None:
    model, images = parts(losses)
    outcome = MaskEvaluator(model, images, CountingScorer(), "running").outcomes([SOME])[SOME]
    model.backbone.set_mask(SOME)
    expected = []
    for raw in images:
        for image, sample in zip(raw["inputs"], raw["data_samples"], strict=True):
            one = model.data_preprocessor({"inputs": [image], "data_samples": [sample]}, True)
            with torch.no_grad():
                expected.append(float(sum(model(**one, mode="loss").values())))
    assert outcome.loss.tolist() == pytest.approx(expected, rel=1e-4)


def test_padding_of_a_batch_is_in_no_loss(parts) -> None:
    # 46 x 45 pixels make 12 x 12 cells, like 48 x 48 with the padding; 80 make 20.
    model, _ = parts()
    steps = [DensityMap(4, 2.0), PackCountingInputs()]

    def packed(height: int, width: int) -> dict[str, Any]:
        results: dict[str, Any] = {
            "img": np.full((height, width, 3), 90, np.uint8),
            "points": np.array([[5.0, 9.0], [30.0, 20.0]], np.float32),
            "img_shape": (height, width),
            "ori_shape": (height, width),
        }
        for step in steps:
            results = step(results)
        return results

    def losses(*images: dict[str, Any]) -> list[float]:
        batch = {name: [image[name] for image in images] for name in images[0]}
        batch = CountingScorer().prepare(model, batch)
        # The same map everywhere, so that only the losses can tell what lies beside an image.
        density = torch.full((len(images), 1, *(s // 4 for s in batch["inputs"].shape[-2:])), 0.1)
        with torch.no_grad(), pytest.MonkeyPatch.context() as patch:
            patch.setattr(model, "density", lambda inputs: density)
            return CountingScorer().rows(model, batch)[1].tolist()

    alone, beside_a_large_one = losses(packed(46, 45)), losses(packed(46, 45), packed(80, 64))
    assert beside_a_large_one[0] == pytest.approx(alone[0])


def test_paired_errors_are_those_of_the_images_differences(parts) -> None:
    model, images = parts()
    outcomes = MaskEvaluator(model, images, CountingScorer()).outcomes([FULL, NONE])
    for name, (value, error) in {
        "rows": outcomes[FULL].difference(outcomes[NONE]),
        "loss": outcomes[FULL].loss_difference(outcomes[NONE]),
    }.items():
        above = (getattr(outcomes[FULL], name) - getattr(outcomes[NONE], name)).ravel()
        assert value == pytest.approx(above.mean(), abs=1e-6)
        assert error == pytest.approx(above.std(ddof=1) / np.sqrt(12), rel=1e-5) and error > 0


def test_the_search_knows_the_units() -> None:
    metric = CountingScorer.metric
    RewardSettings(quality="mae", constraint="loss <= full").require_known(metric)
    loss = qualities(metric)["loss"]
    assert (metric.unit, metric.higher_is_better) == ("objects", False)
    assert "nat" not in loss.unit + loss.reward_unit and loss.reward(3.0) == -3.0


def test_a_pipeline_without_target_maps_is_told_what_it_lacks(parts) -> None:
    model, images = parts(pipeline=[dict(type=PackCountingInputs)])
    with pytest.raises(ConfigError, match=r"put DensityMap\(stride=4\) .* held out for a search"):
        MaskEvaluator(model, images, CountingScorer()).score(FULL)
    model, images = parts([dict(type=CountL1)], [dict(type=PackCountingInputs)])
    MaskEvaluator(model, images, CountingScorer()).score(FULL)  # needs none
