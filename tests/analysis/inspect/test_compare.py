"""Segmentations of several networks stand beside the truth."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.registry import MODELS

from ean_transfer.analysis.inspect.compare import compare
from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation import SegFolder
from ean_transfer.toy import ToySegmentation
from ean_transfer.visualization.sheet import GAP, LINE, SIDE
from tests.segmentation.helpers import TRAIN, write_pairs


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


def test_classes_may_be_named_by_the_data_alone(toy, tmp_path):
    cfg = toy("segmentation/toy")
    network = tmp_path / "network.pth"
    names = tuple("abcdefg")
    write_network(MODELS.build(cfg.model), network, dataset_meta=dict(classes=names))
    root = write_pairs(tmp_path, 1)
    (root / "classes.txt").write_text("\n".join(names))
    folders = dict(data_root=str(root), images="train/images", labels="train/labels")
    cfg.test_dataloader.dataset = dict(type=SegFolder, pipeline=TRAIN, **folders)
    assert compare(cfg, {"none": network}).shape[1] == GAP + 3 * (SIDE + GAP)


def test_another_task_and_absent_samples_are_refused(toy):
    with pytest.raises(ConfigError, match="expected BaseSegmentor .* found DensityCounter"):
        compare(toy("crowd_counting/toy"), {"none": "gone.pth"})
    with pytest.raises(ConfigError, match="expected samples from 0 to 39, .* found 40"):
        compare(toy("segmentation/toy"), {"none": "gone.pth"}, [0, 40])
    with pytest.raises(ConfigError, match="found no test_dataloader"):
        compare(toy("segmentation/toy", test_dataloader=None), {"none": "gone.pth"})
