"""Sheets: augmented training samples with their labels, and networks side by side."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import MODELS

from ean_transfer.analysis.inspect.augmentation import augmentation_sheet
from ean_transfer.analysis.inspect.compare import GAP, PAIR_SIDE, SIDE, compare, draw_sheet
from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.transforms import AlbuSeg
from ean_transfer.toy import ToySegmentation
from ean_transfer.visualization.sheet import CAPTION_SIZE, LINE, Cell


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


@pytest.mark.parametrize("task", ["segmentation", "crowd_counting"])
def test_the_seed_decides(toy, task: str):
    cfg = toy(f"{task}/toy")
    if task == "segmentation":
        cfg.train_dataloader.dataset.pipeline.insert(
            0, dict(type=AlbuSeg, transforms=[dict(type="Rotate", p=1), dict(type="ColorJitter")])
        )
    else:
        cfg.train_dataloader.dataset.pipeline.insert(
            0, dict(type="AlbuPoints", transforms=[dict(type="HorizontalFlip", p=0.5)])
        )
    first, again = augmentation_sheet(cfg, 5, seed=3), augmentation_sheet(cfg, 5, seed=3)
    np.testing.assert_array_equal(first, again)
    assert (augmentation_sheet(cfg, 5, seed=4) != first).any()


def test_more_samples_than_images_show_images_again(toy):
    cfg = toy("crowd_counting/toy")
    cfg.train_dataloader.dataset.length = 2
    sheet = augmentation_sheet(cfg, samples=4)
    assert sheet.shape == (GAP + 2 * (SIDE + LINE + GAP), GAP + 2 * (SIDE + GAP), 3)


def test_another_task_and_no_samples_are_refused(toy):
    with pytest.raises(ConfigError, match="a config of segmentation or counting, found ImageClass"):
        augmentation_sheet(toy("classification/toy"))
    with pytest.raises(ConfigError, match="a positive number of samples, found 0"):
        augmentation_sheet(toy("segmentation/toy"), samples=0)
    with pytest.raises(ConfigError, match="a config of segmentation, found DensityCounter"):
        compare(toy("crowd_counting/toy"), {"none": "gone.pth"})


def test_cells_of_any_size_and_long_captions_stay_in_their_places():
    white, grey = (np.full(size, 255, np.uint8) for size in ((30, 90, 3), (60, 20, 3)))
    sheet = draw_sheet([[Cell(white, "a" * 99), Cell(grey, "")], [Cell(grey, "b")]], ["one", "two"])
    assert sheet.shape == (GAP + LINE + 2 * (60 + LINE + GAP), GAP + 90 + GAP + 20 + GAP, 3)
    top = GAP + LINE
    assert (sheet[top : top + 30, GAP : GAP + 90] == 255).all()
    assert (sheet[top : top + 60, 2 * GAP + 90 : 2 * GAP + 110] == 255).all()
    assert (sheet[top + 30 : top + 30 + LINE, GAP + 90 : 2 * GAP + 90] < 50).all()
    assert (sheet[top + 30 : top + 30 + LINE, GAP : GAP + CAPTION_SIZE] > 150).any()


@pytest.fixture
def networks(toy, tmp_path: Path) -> dict[str, Path]:
    files = {}
    for name in ("none", "full"):
        cfg = toy("segmentation/toy")
        set_ticket(cfg, name)
        torch.manual_seed(len(files))
        files[name] = tmp_path / f"{name}.pth"
        write_network(MODELS.build(cfg.model), files[name])
    return files


def test_networks_of_several_tickets_stand_beside_the_truth(toy, networks):
    cfg = toy("segmentation/toy")
    sheet = compare(cfg, networks, [0, 7, 39])
    height = GAP + LINE + 3 * (SIDE + LINE + GAP)
    assert sheet.shape[1] == GAP + 4 * (SIDE + GAP) and sheet.shape[0] > height  # and a legend
    cells = [sheet[GAP + LINE :, GAP + i * (SIDE + GAP) :][:SIDE, :SIDE] for i in range(4)]
    assert len({cell.tobytes() for cell in cells}) == 4
    bare = compare(cfg, networks, [0, 7, 39], with_images=False)
    assert bare.shape[1] == GAP + 3 * (SIDE + GAP)
    known = {tuple(colour) for colour in ToySegmentation.METAINFO["palette"]}
    inside = bare[GAP + LINE + 20 : GAP + LINE + SIDE - 20 : 9, GAP + 20 : GAP + SIDE - 20 : 9]
    assert sum(tuple(pixel) in known for pixel in inside.reshape(-1, 3).tolist()) > 0.9 * 31**2
    several = compare(cfg, {name: networks["none"] for name in "abc"})
    assert several.shape[1] == GAP + 5 * (SIDE + GAP)
    assert several.shape[0] > sheet.shape[0]  # four images, if none are chosen
    with pytest.raises(ConfigError, match="expected samples from 0 to 39, .* found 40"):
        compare(cfg, networks, [0, 40])
