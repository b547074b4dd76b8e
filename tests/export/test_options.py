"""What a graph may be asked to be: operators, size, precision and type of the labels."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch

from ean_transfer.errors import ConfigError
from ean_transfer.export import Deployment, ExportError, GraphOptions, files, read_metadata
from tests.export.helpers import EXAMPLE, MIXED, Trained, pixels, toy_config, trained
from tests.helpers import CONFIGS

# How each runtime says that a side of the images is another one.
REFUSED = {
    "torch-export": r"image\.size\(\)\[[02]\] == (2|40)",
    "onnx": r"(?s)invalid dimensions.*Expected: (2|40)",
}


@pytest.fixture(scope="module")
def segmentor(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    network = trained(toy_config("segmentation"), MIXED, tmp_path_factory.mktemp("segmentor"))
    return network


def run_of(file: Path) -> files.Run:
    return (files.run_onnx if file.suffix == ".onnx" else files.run_program)(file)


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_a_file_of_one_size_takes_this_size_alone(
    segmentor: Trained, tmp_path: Path, format: str
) -> None:
    file = tmp_path / f"x{files.FORMATS[format]}"
    deployment = Deployment(segmentor.cfg, segmentor.checkpoint)
    options = GraphOptions(static=(2, 40, 48), labels="uint8")
    worst = deployment.write(file, format, EXAMPLE, options)
    assert max(worst.values()) < 1e-4
    outputs = run_of(file)(pixels((2, 3, 40, 48)))
    assert outputs["labels"].dtype == torch.uint8
    assert torch.equal(outputs["labels"].long(), outputs["logits"].argmax(1))
    for shape in ((1, 3, 40, 48), (2, 3, 48, 40)):  # another batch, another size
        with pytest.raises(Exception, match=REFUSED[format]):
            run_of(file)(pixels(shape))
    about = read_metadata(file)
    assert about["ean_transfer.input"] == "image: float32 (2, 3, 40, 48), RGB, 0..255"
    assert json.loads(about["ean_transfer.shape"]) == [2, 40, 48]
    assert about["ean_transfer.outputs"].startswith("labels: uint8 (N, H, W)")


@pytest.mark.slow
@pytest.mark.parametrize("format", ["torch-export", "onnx"])
def test_half_precision_halves_the_file_and_keeps_the_answer(
    counter: Trained, tmp_path: Path, format: str
) -> None:
    suffix = files.FORMATS[format]
    deployment = Deployment(counter.cfg, counter.checkpoint)
    options = GraphOptions(half=True)
    worst = deployment.write(tmp_path / f"half{suffix}", format, EXAMPLE, options)
    assert 1e-7 < max(worst.values()) < 1e-2
    images = pixels((1, 3, 64, 48))
    outputs = run_of(tmp_path / f"half{suffix}")(images)
    assert {value.dtype for value in outputs.values()} == {torch.float32}
    expected = Deployment(counter.cfg, counter.checkpoint).network(images)
    torch.testing.assert_close(outputs["counts"], expected["counts"], rtol=1e-2, atol=1e-2)
    weights = sum(value.numel() for value in deployment.model.state_dict().values())
    assert (tmp_path / f"half{suffix}").stat().st_size < 2 * weights + 400_000


@pytest.mark.slow
def test_the_version_of_the_operators_is_the_one_asked_for(
    counter: Trained, tmp_path: Path
) -> None:
    onnx = pytest.importorskip("onnx")
    deployment = Deployment(counter.cfg, counter.checkpoint)
    deployment.write(tmp_path / "x.onnx", "onnx", EXAMPLE, GraphOptions(opset=20))
    model = onnx.load(str(tmp_path / "x.onnx"))
    assert {entry.version for entry in model.opset_import if entry.domain == ""} == {20}
    with pytest.raises(ExportError, match="opset|version"):
        deployment.write(tmp_path / "y.onnx", "onnx", EXAMPLE, GraphOptions(opset=99))
    assert not (tmp_path / "y.onnx").exists()


@pytest.mark.parametrize(
    ("format", "options", "message"),
    [
        ("checkpoint", {"half": True}, "--half: expected another --format, found checkpoint"),
        ("torch-export", {"opset": 20}, "--opset: expected another --format, found torch-export"),
        ("torch-export", {"labels": "uint8"}, "--labels: expected a segmentor, found crowd"),
    ],
)
def test_options_of_another_format_or_task_are_refused(
    counter: Trained, tmp_path: Path, format: str, options: dict, message: str
) -> None:
    deployment = Deployment(counter.cfg, counter.checkpoint)
    with pytest.raises(ConfigError, match=message):
        file = tmp_path / f"x{files.FORMATS[format]}"
        deployment.write(file, format, options=GraphOptions(**options))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("--static", "1,2"), "expected N,H,W"),
        (("--static", "1,16,64"), "static.1: .* 32, found 16"),
        (("--opset", "3"), "opset: .* 13, found 3"),
    ],
)
def test_values_that_cannot_be_are_one_line(
    counter: Trained, tmp_path: Path, run_tool, typed, message: str
) -> None:
    command = (CONFIGS / "crowd_counting/toy.py", counter.checkpoint, "--out", tmp_path / "x.onnx")
    code, _, err = run_tool("export", *command, *typed)
    assert code == 2 and err.count("\n") == 1 and re.search(message, err)
