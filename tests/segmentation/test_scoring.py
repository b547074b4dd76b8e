"""Masks of a segmentor scored as mmseg tests: mean IoU, loss, and their paired errors."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.models.losses import CrossEntropyLoss
from mmseg.structures import SegDataSample

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation import SegmentationScorer
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.scoring import Outcome
from ean_transfer.supernet.sharing import Work

FULL, NONE, SOME = (True,) * 6, (False,) * 6, (True, False, False, True, True, False)
CLASSES = 7


@pytest.fixture
def supernet(toy) -> Any:
    """Builds a toy segmentor with every connection, whose predictions are not all of one class."""

    def build(**head: Any) -> Any:
        cfg = toy("segmentation/toy")
        cfg.model.backbone.ticket = "full"
        cfg.model.decode_head.update(head)
        torch.manual_seed(0)
        model = MODELS.build(cfg.model)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(0.3 * torch.randn_like(parameter))
            for _ in range(20):  # running statistics that fit
                model.train()(torch.randn(8, 3, 48, 48), mode="tensor")
        return model.eval()

    return build


@pytest.fixture
def images(toy) -> Any:
    """A loader of 12 toy images in batches of 5, 5 and 2."""
    cfg = toy("segmentation/toy", **{"val_dataloader.dataset.length": 12})
    cfg.val_dataloader.batch_size = 5
    return Runner.build_dataloader(cfg.val_dataloader, seed=0)


def batches(number: int, size: int, labels: int, classes: int = CLASSES) -> list[dict[str, Any]]:
    """Batches of four noisy images, with labels of another size, a fifth of them ignored."""
    generator = np.random.default_rng(1)
    made = []
    for _ in range(number):
        samples = []
        for index in range(4):
            values = generator.integers(0, classes, (1, labels, labels))
            values[generator.random(values.shape) < 0.2] = 255
            sample = SegDataSample(
                gt_sem_seg=PixelData(data=torch.tensor(values)),
                metainfo={"ori_shape": (labels, labels), "img_path": f"{index}.png"},
            )
            sample.set_metainfo({"img_shape": (size, size), "pad_shape": (size, size)})
            samples.append(sample)
        pixels = generator.integers(0, 256, (4, 3, size, size), dtype=np.uint8)
        made.append({"inputs": list(torch.tensor(pixels)), "data_samples": samples})
    return made


def miou_of_mmseg(model: Any, raw_batches: Any, classes: int = CLASSES) -> float:
    """mmseg's own mIoU, without its rounding to two decimals."""
    metric = IoUMetric(iou_metrics=["mIoU"])
    metric.dataset_meta = {"classes": [str(label) for label in range(classes)]}
    for raw in raw_batches:
        with torch.no_grad():
            metric.process(raw, [sample.to_dict() for sample in model.test_step(raw)])
    areas = [sum(parts) for parts in zip(*metric.results, strict=True)]
    values = metric.total_area_to_metrics(*areas)["IoU"]
    return 100.0 * float(np.nanmean(values))


@pytest.mark.parametrize("mask", [FULL, SOME, NONE])
def test_the_mean_iou_is_that_of_mmsegs_test(supernet, images, mask) -> None:
    model = supernet()
    score = MaskEvaluator(model, images, SegmentationScorer(), "running").score(mask)
    model.backbone.set_mask(mask)
    assert score.images == 12
    assert score.metric == pytest.approx(miou_of_mmseg(model, images), abs=1e-3)


def test_predictions_have_the_labels_size_and_ignored_pixels_count_nowhere(supernet) -> None:
    model, raw = supernet(), batches(2, size=24, labels=48)
    score = MaskEvaluator(model, raw, SegmentationScorer(), "running").score(FULL)
    assert score.metric == pytest.approx(miou_of_mmseg(model, raw), abs=1e-3)
    for batch in raw:  # whatever is predicted there
        for sample in batch["data_samples"]:
            sample.gt_sem_seg.data[sample.gt_sem_seg.data == 3] = 255
    without = MaskEvaluator(model, raw, SegmentationScorer(), "running").score(FULL)
    assert without.metric == pytest.approx(miou_of_mmseg(model, raw), abs=1e-3)
    assert without.metric != pytest.approx(score.metric, abs=1e-3)


@pytest.mark.parametrize("threshold", [0.3, 0.6])
def test_one_output_for_two_classes_is_a_class_above_the_heads_threshold(
    supernet, threshold: float
) -> None:
    model = supernet(
        num_classes=2,
        out_channels=1,
        threshold=threshold,
        loss_decode=dict(type=CrossEntropyLoss, use_sigmoid=True, avg_non_ignore=True),
    )
    raw = batches(2, size=48, labels=48, classes=2)
    evaluator = MaskEvaluator(model, raw, SegmentationScorer(), "running")
    assert evaluator.score(FULL).metric == pytest.approx(miou_of_mmseg(model, raw, 2), abs=1e-3)
    assert_losses_are_the_models_own(model, evaluator, raw)


def test_losses_are_the_models_own_on_a_batch_of_one(supernet) -> None:
    model, raw = supernet(), batches(2, size=24, labels=24)
    evaluator = MaskEvaluator(model, raw, SegmentationScorer(), "running")
    assert_losses_are_the_models_own(model, evaluator, raw)


def assert_losses_are_the_models_own(model: Any, evaluator: MaskEvaluator, raw: Any) -> None:
    outcome = evaluator.outcomes([SOME])[SOME]
    model.backbone.set_mask(SOME)
    expected = []
    for batch in raw:
        for image, sample in zip(batch["inputs"], batch["data_samples"], strict=True):
            one = model.data_preprocessor({"inputs": [image], "data_samples": [sample]})
            with torch.no_grad():
                expected.append(float(model(**one, mode="loss")["decode.loss_ce"]))
    model.backbone.set_mask(FULL)
    assert outcome.loss.tolist() == pytest.approx(expected, rel=1e-4)


def test_masks_scored_together_have_the_scores_of_each_alone(supernet, images) -> None:
    class Alone(MaskEvaluator):
        def _work(self, network: Any, masks: Any) -> Work:
            return Work(network, masks)

    model = supernet()
    for bn in ("batch", "recalibrated"):
        together = MaskEvaluator(model, images, SegmentationScorer(), bn).outcomes([FULL, SOME])
        for mask, outcome in together.items():
            alone = Alone(model, images, SegmentationScorer(), bn).outcomes([mask])[mask]
            assert np.allclose(outcome.loss, alone.loss, rtol=1e-3)
            assert outcome.score.metric == pytest.approx(alone.score.metric, abs=0.05)


def test_the_error_of_a_difference_is_that_of_leaving_each_image_out(supernet, images) -> None:
    evaluator = MaskEvaluator(supernet(), images, SegmentationScorer())
    outcomes = evaluator.outcomes([FULL, NONE])
    first, second = outcomes[FULL], outcomes[NONE]

    def without(outcome: Outcome, image: int) -> float:
        """The mean IoU from the remaining images' areas, class by class."""
        kept = np.delete(outcome.rows, image, axis=0).sum(axis=0)
        pairs = zip(kept[:CLASSES], kept[CLASSES:], strict=True)
        return 100.0 * float(np.mean([both / either for both, either in pairs if either]))

    left_out = np.array([without(first, i) - without(second, i) for i in range(12)])
    expected = np.sqrt(11 / 12 * ((left_out - left_out.mean()) ** 2).sum())
    value, error = first.difference(second)
    assert value == pytest.approx(first.score.metric - second.score.metric)
    assert error == pytest.approx(expected) and error > 0
    assert first.difference(first) == (0.0, 0.0)


def test_scored_images_stay_as_they_were(supernet) -> None:
    # Predictions kept with the images would fill the memory.
    raw = batches(1, size=24, labels=24)
    MaskEvaluator(supernet(), raw, SegmentationScorer(), "running").score(FULL)
    assert set(raw[0]["data_samples"][0].keys()) == {"gt_sem_seg"}


def test_images_that_cannot_be_scored_are_named(supernet) -> None:
    model, (raw,) = supernet(), batches(1, size=24, labels=24)
    evaluator = MaskEvaluator(model, [raw], SegmentationScorer(), "running")
    raw["data_samples"][2].gt_sem_seg.data[:] = 255
    with pytest.raises(DataError, match=r"2\.png: .* all are 255"):
        evaluator.score(FULL)
    (raw,) = batches(1, size=24, labels=24)
    raw["data_samples"][1].set_metainfo({"ori_shape": (48, 48)})
    with pytest.raises(DataError, match=r"1\.png: .*48 x 48, found 24 x 24"):
        MaskEvaluator(model, [raw], SegmentationScorer(), "running").score(FULL)
    raw["inputs"][3] = torch.zeros(3, 20, 24, dtype=torch.uint8)
    with pytest.raises(ConfigError, match="20 x 24 and 24 x 24; put Resize"):
        MaskEvaluator(model, [raw], SegmentationScorer(), "running").score(FULL)
