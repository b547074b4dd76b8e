"""An exported file predicts what the network in it does, with or without its config."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import cv2
import mmcv.transforms
import numpy as np
import pytest
from mmpretrain.datasets import CenterCrop, PackInputs, ResizeEdge
from mmseg.datasets.transforms import PackSegInputs, Resize
from torch import Tensor

from ean_transfer.errors import ConfigError, DataError
from ean_transfer.export import Deployment, ExportError, GraphOptions, read_metadata
from ean_transfer.export.preparation import preparation_steps, preparation_text
from ean_transfer.export.tickets import carried_ticket
from ean_transfer.prediction import exported as exported_files
from ean_transfer.prediction import load
from ean_transfer.prediction.exported import ExportedModel
from ean_transfer.prediction.files import predict_files
from tests.prediction.conftest import TASKS, Trained

Networks = dict[str, Trained]
FAST = ("classification", ".pt2")
CASES = [
    pytest.param(task, suffix, marks=[] if (task, suffix) == FAST else [pytest.mark.slow])
    for task in TASKS
    for suffix in (".pt2", ".onnx")
]
pytest.importorskip("torch", minversion="2.9")  # the extra `export` brings it

FORMATS = {".pt2": "torch-export", ".onnx": "onnx"}


def config(network: Trained, *steps: dict):
    """A network's config whose test pipeline begins with steps."""
    cfg = network.cfg
    cfg.test_dataloader.dataset.pipeline = [*steps, *cfg.test_dataloader.dataset.pipeline]
    return cfg


def exported(cfg, network: Trained, file: Path, **options) -> Path:
    deployment = Deployment(cfg, network.checkpoint)
    deployment.write(file, FORMATS[file.suffix], (40, 56), GraphOptions(**options))
    return file


@pytest.fixture(scope="module")
def classifier(trained: Networks, tmp_path_factory: pytest.TempPathFactory) -> Path:
    network = trained["classification"]
    return exported(network.cfg, network, tmp_path_factory.mktemp("exported") / "x.pt2")


@pytest.mark.slow
@pytest.mark.parametrize(("task", "suffix"), CASES)
def test_results_are_those_of_the_checkpoint(
    trained: Networks, photo: Path, tmp_path: Path, classifier: Path, task: str, suffix: str
) -> None:
    network = trained[task]
    if (task, suffix) == FAST:
        file = classifier
    else:
        file = exported(network.cfg, network, tmp_path / f"x{suffix}")
    wanted = load(network.config, network.checkpoint).predict(photo)
    for predictor in (load(file), load(network.config, file), load(str(file), device="cpu")):
        result = predictor.predict(photo)
        assert type(result) is type(wanted)
        if task == "classification":
            assert result.classes == wanted.classes
            np.testing.assert_allclose(result.scores, wanted.scores, atol=1e-5)
        elif task == "segmentation":
            assert (result.labels == wanted.labels).mean() > 0.999
            np.testing.assert_array_equal(result.palette, wanted.palette)
            assert result.classes == wanted.classes
        else:
            np.testing.assert_allclose(result.density, wanted.density, atol=1e-5)
            assert (result.size, result.cell) == (wanted.size, wanted.cell)
            assert result.count == pytest.approx(wanted.count, abs=1e-3)


@pytest.mark.slow
def test_the_file_says_how_images_are_resized_first(
    trained: Networks, photo: Path, tmp_path: Path
) -> None:
    network = trained["classification"]
    steps = (dict(type=ResizeEdge, scale=48, edge="short"), dict(type=CenterCrop, crop_size=40))
    cfg = config(network, *steps)
    file = exported(cfg, network, tmp_path / "c.pt2")
    wanted = load(cfg, network.checkpoint).predict(photo).scores
    np.testing.assert_allclose(load(file).predict(photo).scores, wanted, atol=1e-5)
    assert abs(wanted - load(network.folder).predict(photo).scores).max() > 1e-4

    network = trained["segmentation"]
    cfg = config(network, dict(type=Resize, scale=(64, 64), keep_ratio=True))
    file = exported(cfg, network, tmp_path / "s.pt2")
    wanted = load(cfg, network.checkpoint).predict(photo).labels
    labels = load(file).predict(photo).labels
    assert labels.shape == (70, 90) and (labels == wanted).mean() > 0.999


def test_only_known_steps_are_written_and_read() -> None:
    assert preparation_text([dict(type=Resize, scale=(8, 8)), dict(type="Own")]) is None
    assert preparation_text([dict(type=PackInputs), dict(type=PackSegInputs)]) == "[]"
    hostile = '[{"type": "os.system", "command": "true"}, {"type": "Resize", "scale": [8, 8]}]'
    assert preparation_steps(hostile) == [{"type": mmcv.transforms.Resize, "scale": (8, 8)}]


@pytest.mark.slow
def test_a_file_of_one_size_takes_images_of_this_size(
    trained: Networks, photo: Path, tmp_path: Path
) -> None:
    network = trained["crowd_counting"]
    file = exported(network.cfg, network, tmp_path / "x.pt2", static=(2, 70, 90))
    wanted = load(network.folder).predict(photo).count
    assert load(file).predict(photo).count == pytest.approx(wanted, abs=1e-3)
    with pytest.raises(DataError, match=r"x\.pt2: expected images of 70 x 90 .*found 64 x 64"):
        load(file).predict(np.zeros((64, 64, 3), np.uint8))


def test_an_image_that_the_network_fails_on_stops_no_others(
    classifier: Path, photo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small = tmp_path / "small.png"
    cv2.imwrite(str(small), np.zeros((2, 3, 3), np.uint8))
    predictor = load(classifier)
    run = predictor.model._run

    def failing(batch: Tensor) -> dict[str, Tensor]:
        if batch.shape[-1] == 3:
            raise RuntimeError("Guard failed: 3 >= 5")
        return run(batch)

    monkeypatch.setattr(predictor.model, "_run", failing)
    results = dict(predict_files(predictor, [small, photo], tmp_path / "out"))
    assert re.search(r"small\.png.*fails on 2 x 3 pixels.*Guard failed", str(results[small]))
    assert results[photo].classes


def test_what_is_no_exported_file_or_of_another_task_is_refused(
    trained: Networks, tmp_path: Path, classifier: Path
) -> None:
    network, file = trained["classification"], classifier
    with pytest.raises(ConfigError, match=r"x\.pt2: expected a network of segmentation"):
        load(trained["segmentation"].config, file)
    with pytest.raises(ConfigError, match="tiles"):
        load(file, tiles=dict(size=32))
    (tmp_path / "y.pt2").write_bytes(network.checkpoint.read_bytes())
    with pytest.raises(ExportError, match=r"y\.pt2: expected a file that"):
        load(tmp_path / "y.pt2")
    assert ExportedModel(file).num_classes == 6
    assert read_metadata(file)["ean_transfer.num_classes"] == "6"


def test_suffixes_may_be_in_capitals(
    classifier: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "MODEL.PT2"
    shutil.copy(classifier, file)
    assert carried_ticket(file).connected == 6
    monkeypatch.setattr(exported_files, "read_metadata", lambda _: {})
    monkeypatch.setattr(exported_files, "run_onnx", lambda file: file.name)
    assert ExportedModel("MODEL.ONNX")._run == "MODEL.ONNX"


def test_a_file_that_says_no_preparation_is_warned_of(
    classifier: Path, log_lines: list[str]
) -> None:
    model = ExportedModel(classifier)
    model.setting()
    assert not log_lines
    del model.about["preparation"]
    model.setting()
    (line,) = log_lines
    assert "x.pt2: does not say how images are prepared" in line
