"""Segmenting your own images: the label maps, and the files that are written."""

from __future__ import annotations

import json
import tracemalloc
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import DATASETS, MODELS
from mmengine.structures import PixelData
from mmseg.datasets import BaseSegDataset, PascalVOCDataset
from mmseg.datasets.transforms import LoadAnnotations, Resize
from mmseg.structures import SegDataSample
from PIL import Image

from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.prediction.files import find_images, predict_files
from ean_transfer.segmentation import SegFolder
from ean_transfer.segmentation.inference import Segmenter, classes_and_palette
from ean_transfer.supernet import find_backbone
from tests.helpers import ROOT


def save_image(file: Path, height: int = 40, width: int = 60, seed: int = 0) -> np.ndarray:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file.parent.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(file), image)
    return image


@pytest.fixture
def trained(toy, tmp_path: Path) -> tuple[Config, Path]:
    cfg = toy("segmentation/toy")
    set_ticket(cfg, "full")
    torch.manual_seed(0)
    write_network(MODELS.build(cfg.model), tmp_path / "segmentor.pth")
    return cfg, tmp_path / "segmentor.pth"


def test_labels_a_file_and_an_array_alike_by_the_checkpoint_s_ticket(trained, tmp_path, toy):
    cfg = toy("segmentation/toy")  # a config that says no ticket
    image = save_image(tmp_path / "a.png")
    segmenter = Segmenter.trained(cfg, trained[1])
    assert find_backbone(segmenter.model).ticket.connected == 6
    assert "ticket" not in cfg.model.backbone  # as it was
    labels = segmenter(tmp_path / "a.png").labels
    assert labels.shape == (40, 60) and labels.dtype == np.uint8 and labels.max() < 7
    np.testing.assert_array_equal(segmenter(image).labels, labels)


def test_a_test_image_is_labelled_as_in_the_test(trained):
    cfg, checkpoint = trained
    segmenter = Segmenter.trained(cfg, checkpoint)
    packed = DATASETS.build(cfg.test_dataloader.dataset)[0]
    image = np.ascontiguousarray(packed["inputs"].numpy().transpose(1, 2, 0))
    batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
    (tested,) = segmenter.model.test_step(batch)
    np.testing.assert_array_equal(segmenter(image).labels, tested.pred_sem_seg.data[0].numpy())


@pytest.mark.parametrize("place", [0, 1], ids=["labels before the resizing", "labels after it"])
def test_the_pipeline_resizes_and_loads_no_labels_and_sizes_are_the_images_own(trained, place):
    cfg, checkpoint = trained
    pipeline = cfg.test_dataloader.dataset.pipeline
    pipeline.insert(0, dict(type=Resize, scale=(64, 64), keep_ratio=True))
    pipeline.insert(place, dict(type=LoadAnnotations))
    pipeline.insert(0, dict(type="LoadImageFromFile"))
    segmenter = Segmenter.trained(cfg, checkpoint)
    seen = []
    segmenter.model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape))
    for height, width in ((90, 120), (7, 5), (1, 30)):
        assert segmenter(np.zeros((height, width, 3), np.uint8)).labels.shape == (height, width)
    assert [tuple(shape[-2:]) for shape in seen] == [(48, 64), (64, 46), (2, 64)]


def test_tiles_slide_over_the_image(trained):
    image = np.random.default_rng(0).integers(0, 256, (48, 80, 3), dtype=np.uint8)
    seen = []
    for tiles in (None, dict(size=32), dict(size=80, overlap=0)):
        segmenter = Segmenter.trained(*trained, tiles=tiles)
        backbone = segmenter.model.backbone
        backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[-2:])))
        labels = segmenter(image).labels
        assert labels.shape == (48, 80)
        if tiles is None:
            whole = labels
    assert seen == [(48, 80)] + 6 * [(32, 32)] + [(48, 80)]  # two rows of three; a step is 24
    np.testing.assert_array_equal(labels, whole)  # of the tile that is the image
    with pytest.raises(ConfigError, match="tiles: .* size 32 and overlap 32"):
        Segmenter.trained(*trained, tiles=dict(size=32, overlap=32))


def test_writes_overlays_label_maps_and_shares_and_names_what_it_cannot_segment(trained, tmp_path):
    cfg, checkpoint = trained
    resize = dict(type=Resize, scale=(64, 64), keep_ratio=True)
    cfg.test_dataloader.dataset.pipeline.insert(0, resize)
    save_image(tmp_path / "one" / "x.png")
    save_image(tmp_path / "two" / "slim.png", 1, 1000)
    save_image(tmp_path / "two" / "x.jpg", 30, 400)
    (tmp_path / "two" / "y.png").write_bytes(b"no image")
    images = find_images([tmp_path / "one", tmp_path / "two"])
    segmenter = Segmenter.trained(cfg, checkpoint)
    out = tmp_path / "out"

    results = dict(predict_files(segmenter, images, out))
    rows = json.loads((out / "labels.json").read_text())
    assert [row["image"] for row in rows] == [str(path) for path in images]
    for place, reason in ((1, "found 1000 x 1 pixels"), (3, "expected an image")):
        error = results[images[place]]
        assert isinstance(error, DataError) and rows[place]["error"] == str(error)
        assert str(error).startswith(f"{images[place]}: ") and reason in str(error)
    files = [(row.get("overlay"), row.get("labels")) for row in rows]
    first, second = ("x_overlay.png", "x_labels.png"), ("x_2_overlay.png", "x_2_labels.png")
    assert files == [first, (None, None), second, (None, None)]
    assert {file.name for file in out.iterdir()} == {*first, *second, "labels.json"}

    labels, row = segmenter(images[2]).labels, rows[2]
    assert (row["width"], row["height"]) == (400, 30)
    with Image.open(out / "x_2_labels.png") as picture:
        assert picture.mode == "P"
        np.testing.assert_array_equal(np.asarray(picture), labels)
        colours = np.asarray(picture.convert("RGB"))
    np.testing.assert_array_equal(colours, segmenter.setting.palette[labels])
    assert list(row["share"]) == list(segmenter.setting.classes)
    assert sum(row["share"].values()) == pytest.approx(1, abs=1e-5)
    most = segmenter.setting.classes[np.bincount(labels.ravel()).argmax()]
    assert max(results[images[2]].share, key=results[images[2]].share.get) == most
    loaded = dict(seg_map_path=out / "x_2_labels.png", reduce_zero_label=False, seg_fields=[])
    np.testing.assert_array_equal(LoadAnnotations().transform(loaded)["gt_seg_map"], labels)


def test_refuses_another_task_and_another_number_of_classes(trained, toy):
    cfg, checkpoint = trained
    with pytest.raises(ConfigError, match="expected EncoderDecoder as its model, found Image"):
        Segmenter.trained(toy("classification/toy"), checkpoint)
    cfg.test_dataloader.dataset.metainfo = dict(classes=("red", "green"))
    with pytest.raises(ConfigError, match="found 7 in the model and 2 names"):
        Segmenter.trained(cfg, checkpoint)
    with pytest.raises(ConfigError, match="expected a device to compute on, found nowhere"):
        Segmenter.trained(toy("segmentation/toy"), checkpoint, device="nowhere")
    with pytest.raises(ConfigError, match="found no test_dataloader"):
        Segmenter.trained(toy("segmentation/toy", test_dataloader=None), checkpoint)


def test_classes_that_the_config_does_not_name_are_the_checkpoint_s(trained, tmp_path):
    cfg, checkpoint = trained
    # As of a data set with classes.txt, which need not be there.
    pipeline = cfg.test_dataloader.dataset.pipeline
    cfg.test_dataloader.dataset = dict(type=SegFolder, data_root="gone", pipeline=pipeline)
    with pytest.raises(ConfigError, match="found 7 in the model and 0 names"):
        Segmenter.trained(cfg, checkpoint)
    names = tuple("abcdefg")
    named = tmp_path / "named.pth"
    model = MODELS.build(cfg.model)
    write_network(model, named, dataset_meta=dict(classes=names, palette=[[1, 2, 3]] * 7))
    setting = Segmenter.trained(cfg, named).setting
    assert setting.classes == names and setting.palette[:2].tolist() == [[128, 0, 0], [0, 128, 0]]


def test_an_image_is_judged_by_the_classes_that_it_shows(trained):
    segmenter = Segmenter.trained(*trained)
    true = torch.tensor([[[0, 0, 1, 1], [2, 2, 255, 255]]])
    guess = torch.tensor([[[0, 0, 1, 3], [2, 0, 5, 1]]])
    fields = dict(gt_sem_seg=PixelData(data=true), pred_sem_seg=PixelData(data=guess))
    sample = SegDataSample()
    sample.set_data(fields)
    # IoU of 0: 2 / 3; of 1: 1 / 2; of 2: 1 / 2; of 3: 0 / 1
    assert segmenter.judge(sample).error == pytest.approx(1 - 5 / 12)


def test_judging_an_image_takes_no_memory_per_class(trained):
    segmenter = Segmenter.trained(*trained)
    segmenter.setting = segmenter.setting._replace(classes=tuple(map(str, range(150))))
    labels = torch.arange(300 * 300).reshape(1, 300, 300) % 150
    sample = SegDataSample()
    sample.set_data({name: PixelData(data=labels) for name in ("gt_sem_seg", "pred_sem_seg")})
    tracemalloc.start()
    error = segmenter.judge(sample).error
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert error == 0 and peak < 50 * labels.numel()  # two masks per class are 300 times


def test_classes_and_colours_come_from_the_data_set_s_class_without_the_data():
    cfg = load_config(ROOT / "configs" / "segmentation" / "fcn_resnet20_se_camvid_short.py")
    classes, palette = classes_and_palette(cfg)
    assert (classes[3], palette[3].tolist(), len(palette)) == ("Road", [128, 64, 128], 11)
    cfg.test_dataloader.dataset.metainfo = dict(classes=("Car", "Road"))
    classes, palette = classes_and_palette(cfg)
    assert classes == ("Car", "Road") and palette.tolist() == [[64, 0, 128], [128, 64, 128]]

    voc = dict(type=PascalVOCDataset, ann_file="gone.txt", data_root="gone")
    cfg.test_dataloader.dataset = dict(type="ConcatDataset", datasets=[voc])
    assert classes_and_palette(cfg)[0][:2] == ("background", "aeroplane")
    cfg.test_dataloader.dataset = dict(type=BaseSegDataset, metainfo=dict(classes=tuple("abc")))
    assert classes_and_palette(cfg)[1].tolist() == [[128, 0, 0], [0, 128, 0], [128, 128, 0]]
