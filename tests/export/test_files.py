"""Files are the network, whatever runs them, and give their ticket back without being run."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from ean_transfer.crowd_counting import CountingDataSample
from ean_transfer.export import (
    Deployment,
    ExportError,
    exported_ticket,
    files,
    read_metadata,
    require_ready,
)
from ean_transfer.toy import KINDS
from tests.export.helpers import EXAMPLE, MIXED, SHAPES, Trained, normalised, pixels
from tests.helpers import CONFIGS, ROOT


@pytest.mark.parametrize("shape", SHAPES)
def test_onnx_takes_rgb_pixels_of_any_batch_and_size(classifier, shape: tuple) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(classifier.file, providers=["CPUExecutionProvider"])
    images = pixels(shape)
    scores, logits = session.run(["scores", "logits"], {"image": images.numpy()})
    expected = classifier.trained.model(normalised(images))  # a toy network sees RGB
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, expected.softmax(1), atol=1e-6)
    # The order of the channels matters to this network: the test would see a wrong one.
    assert (classifier.trained.model(normalised(images.flip(1))) - expected).abs().max() > 1e-2


def test_a_file_gives_its_ticket_back_without_running_it(classifier) -> None:
    ticket = exported_ticket(classifier.file)
    assert ticket.id == MIXED.folded().id and ticket.to_fold == 0
    metadata = read_metadata(classifier.file)
    assert metadata["ean_transfer.task"] == "classification"
    assert json.loads(metadata["ean_transfer.classes"]) == list(KINDS)
    assert "RGB, 0..255; H >= 32, W >= 32" in metadata["ean_transfer.input"]
    assert str(ROOT).encode() not in classifier.file.read_bytes()  # no paths of where it was made


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match=r"gone\.onnx: .* found no such file"):
        read_metadata(tmp_path / "gone.onnx")


def counts_of(model: nn.Module, images: Tensor) -> Tensor:
    """The counter's own predictions, from BGR images of 8 bits."""
    samples = [CountingDataSample(metainfo={"img_shape": images.shape[-2:]}) for _ in images]
    inputs = list(images.flip(1).to(torch.uint8))
    predicted = model.test_step({"inputs": inputs, "data_samples": samples})
    return torch.tensor([sample.pred_count for sample in predicted])


@pytest.mark.slow
@pytest.mark.parametrize(
    ("format", "folding"),
    [("onnx", "never"), pytest.param("torch-export", "auto", marks=pytest.mark.slow)],
)
def test_counts_are_the_counters_at_any_size(
    counter: Trained, tmp_path: Path, format: str, folding: str
) -> None:
    if format == "onnx":
        pytest.importorskip("onnxruntime")
    file = tmp_path / f"counter{files.FORMATS[format]}"
    worst = Deployment(counter.cfg, counter.checkpoint, folding).write(file, format, EXAMPLE)
    assert set(worst) == {"counts", "density"} and max(worst.values()) < 1e-5
    assert exported_ticket(file).id == (MIXED if folding == "never" else MIXED.folded()).id
    assert str(ROOT).encode() not in file.read_bytes()
    run = (files.run_onnx if format == "onnx" else files.run_program)(file)
    for shape in SHAPES:
        images = pixels(shape)
        counts = counts_of(counter.model, images)
        outputs = run(images)
        # 33 x 47 is padded to 36 x 48, and what is seen in the padding is cut off.
        assert outputs["density"].shape == (len(images), 1, -(-shape[2] // 4), -(-shape[3] // 4))
        torch.testing.assert_close(outputs["counts"], counts, rtol=1e-5, atol=1e-5)
        assert counts.min() > 0.5  # or else there would be little to see


def test_missing_packages_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counter: Trained, run_tool
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    out = tmp_path / "x.onnx"
    command = [CONFIGS / "crowd_counting/toy.py", counter.checkpoint, "--out", out]
    code, said, err = run_tool("export", *command)
    assert (code, said, err.count("\n")) == (2, "", 1)
    assert 'the format onnx needs onnxscript: pip install -e ".[export]"' in err
    require_ready(tmp_path / "x.pt2", "torch-export")  # needs none
