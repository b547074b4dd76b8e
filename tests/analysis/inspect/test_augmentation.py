"""Augmented training samples are drawn with their labels or points."""

from __future__ import annotations

import numpy as np
import pytest
from mmcv.transforms import BaseTransform

from ean_transfer.analysis.inspect.augmentation import PAIR_SIDE, augmentation_sheet
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.transforms import AlbuSeg
from ean_transfer.visualization.sheet import GAP, LINE, SIDE


class Painted(BaseTransform):
    """Makes every image green, its upper half of class 1 (red in the toy world), the rest void."""

    def transform(self, results: dict) -> dict:
        results["img"] = np.full((20, 40, 3), (0, 255, 0), dtype=np.uint8)
        results["gt_seg_map"] = np.repeat(np.array([1, 255], np.uint8), 10)[:, None] + np.zeros(
            (1, 40), np.uint8
        )
        return results


def test_samples_are_shown_beside_their_labels_colours(toy):
    cfg = toy("segmentation/toy")
    cfg.train_dataloader.dataset.pipeline.insert(0, Painted())
    sheet = augmentation_sheet(cfg, samples=1)
    top = GAP + PAIR_SIDE // 8  # in the upper half
    assert sheet[top, GAP + 9].tolist() == [0, 255, 0]
    red, green, blue = sheet[top, GAP + PAIR_SIDE + 9].tolist()
    assert red > 110 and green < 150 and blue > 20  # 0.55 of the palette's (220, 60, 60)
    assert sheet[top + PAIR_SIDE // 4, GAP + PAIR_SIDE + 9].tolist() == [0, 255, 0]


@pytest.mark.parametrize(
    ("task", "kind", "transforms"),
    [
        ("segmentation", AlbuSeg, [dict(type="Rotate", p=1), dict(type="ColorJitter")]),
        ("crowd_counting", "AlbuPoints", [dict(type="HorizontalFlip", p=0.5)]),
    ],
)
def test_the_seed_decides(toy, task: str, kind, transforms):
    cfg = toy(f"{task}/toy")
    cfg.train_dataloader.dataset.pipeline.insert(0, dict(type=kind, transforms=transforms))
    first, again = augmentation_sheet(cfg, 5, seed=3), augmentation_sheet(cfg, 5, seed=3)
    np.testing.assert_array_equal(first, again)
    assert (augmentation_sheet(cfg, 5, seed=4) != first).any()


def test_more_samples_than_images_show_images_again(toy):
    cfg = toy("crowd_counting/toy")
    cfg.train_dataloader.dataset.length = 2
    sheet = augmentation_sheet(cfg, samples=4)
    assert sheet.shape == (GAP + 2 * (SIDE + LINE + GAP), GAP + 2 * (SIDE + GAP), 3)


def test_another_task_and_no_samples_are_refused(toy):
    with pytest.raises(ConfigError, match="BaseSegmentor or DensityCounter .* ImageClassifier"):
        augmentation_sheet(toy("classification/toy"))
    with pytest.raises(ConfigError, match="samples: .* found 0"):
        augmentation_sheet(toy("segmentation/toy"), samples=0)
    with pytest.raises(ConfigError, match="found no train_dataloader"):
        augmentation_sheet(toy("segmentation/toy", train_dataloader=None))
