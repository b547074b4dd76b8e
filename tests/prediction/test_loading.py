"""One way to a network of any task, and a typed result for each image."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import DATASETS
from mmpretrain.datasets import CIFAR10, PackInputs
from PIL import ExifTags, Image

import ean_transfer
from ean_transfer.classification.inference import ClassScores
from ean_transfer.crowd_counting.inference import Count
from ean_transfer.data.loading import LoadImage
from ean_transfer.errors import CheckpointError, ConfigError, DataError
from ean_transfer.export.preparation import preparation_steps, preparation_text
from ean_transfer.prediction import load
from ean_transfer.prediction.files import predict_files
from ean_transfer.segmentation.inference import LabelMap
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.files import ticket_of
from ean_transfer.toy import KINDS
from tests.prediction.conftest import TASKS, Trained

Networks = dict[str, Trained]


def test_a_file_an_array_and_a_list_give_a_result_of_the_task(trained: Networks, photo: Path):
    pixels = cv2.imread(str(photo))
    network = trained["classification"]
    classifier = load(network.config, network.checkpoint)
    scores = classifier.predict(str(photo))
    assert isinstance(scores, ClassScores) and scores.classes == tuple(KINDS)
    assert scores.scores.sum() == pytest.approx(1, abs=1e-5)
    assert scores.best == scores.top(1)[0][0] == KINDS[int(scores.scores.argmax())]
    assert [name for name, _ in scores.top()] == sorted(
        KINDS, key=lambda name: -scores.scores[KINDS.index(name)]
    )[:5]
    several = classifier.predict([photo, pixels])
    assert [result.scores.tolist() for result in several] == 2 * [scores.scores.tolist()]

    network = trained["segmentation"]
    labels = load(network.config, network.checkpoint).predict(pixels)
    assert isinstance(labels, LabelMap) and labels.labels.shape == (70, 90)
    assert sum(labels.share.values()) == pytest.approx(1)

    network = trained["crowd_counting"]
    counter = load(network.config, network.checkpoint)
    torch.nn.init.constant_(counter.model.head.density.bias, 4.0)  # 4 objects per 100 cells
    count = counter.predict(photo)
    assert isinstance(count, Count) and count.size == (70, 90) and count.cell == (4, 4)
    assert count.count == pytest.approx(float(count.density.sum()), rel=1e-4)
    assert 1 < len(count.points) <= round(count.count)
    height, width = count.size
    assert ((count.points >= 0) & (count.points <= (width, height))).all()
    assert ean_transfer.load is load


@pytest.mark.parametrize("task", TASKS)
def test_an_array_of_another_kind_is_refused(trained: Networks, task: str) -> None:
    predictor = load(trained[task].folder, device="cpu")
    pixels = np.random.default_rng(0).integers(0, 256, (70, 90, 3), dtype=np.uint8)
    others = (pixels / np.float32(255), 256 * pixels.astype(np.uint16), pixels[..., 0],
              pixels[..., [0, 1, 2, 2]])  # fmt: skip
    for other in others:
        with pytest.raises(DataError, match=rf"uint8 in BGR.*\({other.shape[0]}, .*{other.dtype}"):
            predictor.predict(other)


def test_a_classifier_sees_what_it_sees_in_the_test(trained: Networks) -> None:
    network = trained["classification"]
    classifier = load(network.config, network.checkpoint, device="cpu")
    packed = DATASETS.build(network.cfg.test_dataloader.dataset | {"length": 3})[2]
    image = np.ascontiguousarray(packed["inputs"].numpy().transpose(1, 2, 0))
    batch = {"inputs": [packed["inputs"]], "data_samples": [packed["data_samples"]]}
    with torch.no_grad():
        (tested,) = classifier.model.test_step(batch)
    np.testing.assert_array_equal(classifier.predict(image).scores, tested.pred_score)


def test_a_data_set_of_rgb_arrays_is_fed_rgb(trained: Networks, photo: Path) -> None:
    network = trained["classification"]
    cfg = network.cfg
    pipeline = [dict(type=PackInputs)]
    cfg.test_dataloader.dataset = dict(type=CIFAR10, data_root="gone", pipeline=pipeline)
    pixels = cv2.imread(str(photo))
    fed_rgb = load(cfg, network.checkpoint)
    fed_bgr = load(network.cfg, network.checkpoint)
    flipped = np.ascontiguousarray(pixels[..., ::-1])
    np.testing.assert_array_equal(fed_rgb.predict(pixels).scores, fed_bgr.predict(flipped).scores)
    assert fed_rgb.predict(pixels).classes == tuple("012345")  # 10 names do not fit 6 scores


def test_an_exif_orientation_is_what_it_is_in_the_test(
    trained: Networks, photo: Path, tmp_path: Path
) -> None:
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # viewers show it upright, 70 x 90
    Image.open(photo).save(photo, exif=exif)
    network = trained["crowd_counting"]
    assert load(network.config, network.checkpoint).predict(photo).size == (90, 70)
    cfg = network.cfg
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type=LoadImage, exif="ignore"))
    counter = load(cfg, network.checkpoint)
    assert counter.predict(photo).size == (70, 90)
    ((_, count),) = predict_files(counter, [photo], tmp_path / "out")
    assert count.size == (70, 90)
    # An exported file says it too.
    text = preparation_text(cfg.test_dataloader.dataset.pipeline)
    assert preparation_steps(text) == [dict(type=LoadImage, exif="ignore")]


@pytest.mark.parametrize("task", TASKS)
def test_a_work_dir_and_a_ticket_name_the_network_too(
    trained: Networks, photo: Path, tmp_path: Path, task: str
) -> None:
    network = trained[task]
    named = load(network.config, network.checkpoint).predict(photo).entries()
    assert load(network.folder).predict(photo).entries() == named
    ticket = ticket_of(torch.load(network.checkpoint, weights_only=True))
    file = ticket.save(tmp_path / "ticket.json")
    assert load(file, network.checkpoint).predict(photo).entries() == named
    other = ticket.complement().save(tmp_path / "other.json")
    with pytest.raises(TicketError, match=f"epoch_1.pth: .*other.json, .*found {ticket.id}"):
        load(other, network.checkpoint)


def test_what_does_not_name_a_network_is_refused(trained: Networks, tmp_path: Path) -> None:
    network = trained["segmentation"]
    with pytest.raises(ConfigError, match=r"toy\.py: expected a checkpoint"):
        load(network.config)
    with pytest.raises(ConfigError, match="expected the config that a training writes.*none"):
        load(tmp_path)
    with pytest.raises(ConfigError, match="top: expected a network of classification, .*Segmenter"):
        load(network.config, network.checkpoint, top=3)
    with pytest.raises(ConfigError, match="points: expected a network of crowd counting"):
        load(network.folder, points=True)
    with pytest.raises(CheckpointError, match="another network"):
        load(network.config, trained["classification"].checkpoint)
    backbone = network.cfg
    backbone.model = backbone.model.backbone
    with pytest.raises(ConfigError, match="ImageClassifier or EncoderDecoder or DensityCounter"):
        load(backbone, network.checkpoint)
