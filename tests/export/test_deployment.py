"""From a checkpoint to a file that computes the same, or to no file at all."""

from __future__ import annotations

from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmpretrain.models import ImageClassifier, ResNet
from torch import Tensor, nn

from ean_transfer import TicketError
from ean_transfer.attachment.batchnorm import norms_of
from ean_transfer.backbones import TicketResNet
from ean_transfer.engine.inference import load_trained
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.export import Deployment, ExportError, exported_ticket, files, require_ready
from ean_transfer.export import deployment as deployment_module
from tests.export.helpers import (
    EXAMPLE,
    MIXED,
    SE_FULL,
    Trained,
    normalised,
    pixels,
    toy_config,
    trained,
)
from tests.helpers import CONFIGS


def test_the_command_says_what_it_folded_wrote_and_measured(classifier) -> None:
    ticket, folded, _, scores, logits, wrote = classifier.said.splitlines()
    assert ticket.startswith("ticket: SE (reduction=4) on resnet8_cifar")
    assert ticket.endswith(f"2 of 3 blocks, 2 to fold, id {MIXED.id}")
    assert folded.startswith("folded 2 blocks") and folded.endswith(f"id {MIXED.folded().id}")
    for line, name in ((scores, "scores"), (logits, "logits")):
        output, value = line.split()
        assert output == name and 0 < float(value) < 1e-5
    assert wrote.startswith(f"wrote {classifier.file} (0.")
    names = {path.name for path in classifier.file.parent.iterdir()}
    assert names == {"epoch_1.onnx", "epoch_1.pth"}


@pytest.mark.slow
def test_a_wrong_file_is_not_left_under_its_name(
    classifier, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tool
) -> None:
    import onnx

    model = onnx.load(str(classifier.file))
    weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    monkeypatch.setattr(files, "write_onnx", lambda _, file, *rest: onnx.save(model, str(file)))
    out = tmp_path / "wrong.onnx"
    command = [CONFIGS / "classification/toy.py", classifier.trained.checkpoint, "--out", out,
               "--cfg-options", "model.backbone.depth=8"]  # fmt: skip
    code, _, err = run_tool("export", *command)
    assert (code, err.count("\n")) == (1, 1)
    assert f"{out}: not written" in err and "scores by" in err
    assert list(tmp_path.iterdir()) == []

    out.write_bytes(classifier.file.read_bytes())  # an earlier export, which stays as it is
    assert run_tool("export", *command)[0] == 1
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == classifier.file.read_bytes()


# -- folding, checkpoints --------------------------------------------------------------------


def test_folded_and_unfolded_networks_are_the_same_function(counter: Trained) -> None:
    folded = Deployment(counter.cfg, counter.checkpoint)
    unfolded = Deployment(counter.cfg, counter.checkpoint, "never")
    assert (folded.folded, unfolded.folded) == (2, 0)
    assert folded.ticket.id == MIXED.folded().id and unfolded.ticket.id == MIXED.id
    images = pixels((2, 3, 33, 47))
    for name, value in folded.network(images).items():
        torch.testing.assert_close(value, unfolded.network(images)[name], rtol=1e-4, atol=1e-6)
    sizes = [len(list(d.network.parameters())) for d in (folded, unfolded)]
    assert sizes[0] < sizes[1]


def test_a_folded_checkpoint_is_a_plain_resnets(tmp_path: Path) -> None:
    small = {"depth": 18, "stem_channels": 8, "base_channels": 8}
    cfg = toy_config("classification")
    attention = {"attention": {"type": "SE", "reduction": 4}, "asr": True}
    cfg.model.backbone = {"type": TicketResNet, "zero_init_residual": False, **attention, **small}
    cfg.model.head.in_channels = 64
    network = trained(cfg, "full", tmp_path)
    file = tmp_path / "folded.pth"
    deployment = Deployment(cfg, network.checkpoint)
    assert deployment.folded == 8
    deployment.write(file, "checkpoint")
    weights = torch.load(file, weights_only=True)["state_dict"]
    prefix = "backbone."
    own = {n.removeprefix(prefix): w for n, w in weights.items() if n.startswith(prefix)}
    plain = ResNet(**small)
    plain.load_state_dict(own)  # strictly
    plain.eval()
    images = pixels((2, 3, 40, 40))
    expected = network.model.backbone(images)[0]
    torch.testing.assert_close(plain(images)[0], expected, rtol=1e-4, atol=1e-4)
    assert exported_ticket(file).is_plain
    again = load_trained(cfg, file, ImageClassifier, device="cpu")  # as tools/test.py does
    torch.testing.assert_close(again(images), network.model(images), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    ("task", "init"),
    [
        ("classification", "default"),
        ("segmentation", "default"),
        ("crowd_counting", "default"),
        ("classification", "identity"),
    ],
)
def test_an_optimized_checkpoint_loads_and_computes_the_same(
    task: str, init: str, tmp_path: Path
) -> None:
    cfg = toy_config(task, **{"model.backbone.init": init})
    network = trained(cfg, SE_FULL, tmp_path)
    deployment = Deployment(cfg, network.checkpoint, optimize=True)
    assert set(deployment.folded_norms) >= {
        f"backbone.{name}" for name in norms_of(network.model.backbone)
    }
    file = tmp_path / "optimized.pth"
    assert max(deployment.write(file, "checkpoint").values()) < 1e-4
    weights = torch.load(file, weights_only=True)["state_dict"]
    assert "backbone.conv1.bias" in weights and not any("bn1" in name for name in weights)
    again = load_trained(cfg, file, type(network.model), device="cpu")
    assert norms_of(again) == norms_of(deployment.model)
    images = normalised(pixels((2, 3, 40, 48)))
    outputs = [model(images, mode="tensor") for model in (again, network.model)]
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)
    with pytest.raises(CheckpointError, match="to train with"):
        load_backbone(load_trained(cfg, network.checkpoint, type(network.model)), file)


@pytest.mark.slow  # runs two tests of a config
def test_the_command_optimizes_and_what_it_writes_can_be_tested(tmp_path: Path, run_tool) -> None:
    config = CONFIGS / "classification/toy.py"
    change = ("--cfg-options", "model.backbone.depth=8", "test_dataloader.dataset.length=32")
    network, out = trained(toy_config("classification"), SE_FULL, tmp_path), tmp_path / "fast.pth"
    code, said, err = run_tool(
        "export", config, network.checkpoint, "--format", "checkpoint", "--optimize",
        "--out", out, *change,
    )  # fmt: skip
    assert (code, err) == (0, "") and "optimized: 9 of 9 BatchNorms folded" in said
    tested = run_tool("test", config, out, "--work-dir", tmp_path / "work", *change)
    assert tested.code == 0 and "accuracy" in tested.out.splitlines()[0]
    again = load_trained(network.cfg, out, ImageClassifier, device="cpu")
    images = normalised(pixels((2, 3, 33, 47)))
    assert norms_of(network.model) and not norms_of(again)
    logits = (model.head(model.extract_feat(images)) for model in (again, network.model))
    torch.testing.assert_close(*logits, rtol=1e-4, atol=1e-4)


@pytest.mark.slow  # torch.export takes seconds
def test_an_optimized_program_is_channels_last_where_that_is_faster(
    counter: Trained, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", minversion="2.9")
    monkeypatch.setattr(deployment_module, "faster_channels_last", lambda *_: True)
    deployment = Deployment(counter.cfg, counter.checkpoint, optimize=True)
    assert max(deployment.write(tmp_path / "counter.pt2", "torch-export").values()) < 1e-4
    assert deployment.channels_last
    program = torch.export.load(tmp_path / "counter.pt2")
    weights = [value for value in program.state_dict.values() if value.ndim == 4]
    assert all(w.is_contiguous(memory_format=torch.channels_last) for w in weights)


class OfLargeImages(nn.Module):
    """A backbone for images of 80 x 80 pixels or more."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 4, 80, bias=False), nn.BatchNorm2d(4)

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (self.norm(self.conv(images)),)


def test_a_network_of_large_images_is_optimized_with_the_size_it_is_given(tmp_path: Path) -> None:
    cfg = toy_config("classification")
    cfg.model.backbone = {"type": OfLargeImages}
    cfg.model.head.in_channels = 4
    torch.save({"state_dict": MODELS.build(cfg.model).state_dict()}, tmp_path / "plain.pth")
    with pytest.raises(ExportError, match=r"toy\.py: fails on images of 64 x 96 pixels"):
        Deployment(cfg, tmp_path / "plain.pth", optimize=True)
    deployment = Deployment(cfg, tmp_path / "plain.pth", optimize=True, image_size=(96, 80))
    assert deployment.folded_norms == {"backbone.norm": "backbone.conv"}


def test_a_wrong_checkpoint_is_not_written(counter: Trained, tmp_path: Path) -> None:
    deployment = Deployment(counter.cfg, counter.checkpoint)
    deployment.model.head.density.weight.mul_(1.01)
    with pytest.raises(ExportError, match=r"not written.*counts by"):
        deployment.write(tmp_path / "counter.pth", "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_a_file_may_differ_by_a_ten_thousandth_and_no_more(counter: Trained, tmp_path) -> None:
    deployment = Deployment(counter.cfg, counter.checkpoint)
    bias = deployment.model.head.density.bias
    unchanged = bias.clone()
    bias.add_(1e-4)
    little = max(deployment.write(tmp_path / "little.pth", "checkpoint").values())
    for worst, taken in ((0.9e-4, True), (1.1e-4, False)):
        bias.copy_(unchanged + 1e-4 * worst / little)
        file = tmp_path / f"{worst}.pth"
        with nullcontext() if taken else pytest.raises(ExportError, match="1e-04 is allowed"):
            found = max(deployment.write(file, "checkpoint").values())
            assert found == pytest.approx(worst, rel=0.05)
        assert file.exists() == taken


def test_a_network_without_a_ticket_is_exported_and_says_so(tmp_path: Path) -> None:
    cfg = toy_config("classification")
    cfg.model.backbone = {"type": ResNet, "depth": 18, "stem_channels": 8, "base_channels": 4}
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "plain.pth")
    deployment = Deployment(cfg, tmp_path / "plain.pth")
    assert deployment.ticket is None and deployment.folded == 0
    file = tmp_path / "out.pth"
    deployment.write(file, "checkpoint")
    with pytest.raises(TicketError, match="built without a ticket"):
        exported_ticket(file)


def test_without_test_data_a_file_does_not_say_how_images_are_prepared(tmp_path: Path) -> None:
    cfg = toy_config("segmentation", test_dataloader=None)
    network = trained(cfg, "none", tmp_path)
    Deployment(cfg, network.checkpoint).write(tmp_path / "out.pth", "checkpoint")
    said = files.read_metadata(tmp_path / "out.pth")
    assert "ean_transfer.task" in said and "ean_transfer.preparation" not in said


def test_a_checkpoint_may_be_an_address_and_then_the_file_is_named(
    tmp_path: Path, run_tool, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fail(url: str, *_: Any, **__: Any) -> None:
        asked.append(url)
        raise OSError("no route")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    address = "https://example.org/net.pth"
    typed = ("export", CONFIGS / "classification/toy.py", address, "--format", "checkpoint")
    done = run_tool(*typed)
    assert done.code == 2 and f"--out: expected a file to write, since {address}" in done.err
    done = run_tool(*typed, "--out", tmp_path / "out.pth")
    assert done.code == 2 and "no route" in done.err and asked == [address]


# -- what is refused -------------------------------------------------------------------------


def test_no_other_file_is_replaced(tmp_path: Path, counter: Trained) -> None:
    other = tmp_path / "other.pt2"
    other.write_text("mine")
    for file, format in ((counter.checkpoint, "checkpoint"), (other, "torch-export")):
        with pytest.raises(ConfigError, match=f"{file}: .* would be replaced"):
            require_ready(file, format)
    earlier = tmp_path / "earlier.pth"
    deployment = Deployment(counter.cfg, counter.checkpoint)
    for _ in range(2):
        deployment.write(earlier, "checkpoint")
    assert exported_ticket(earlier).id == MIXED.folded().id


def test_what_cannot_be_exported_is_refused(tmp_path: Path, counter: Trained) -> None:
    with pytest.raises(ConfigError, match=r"x\.pt2: expected a \.onnx file"):
        require_ready(tmp_path / "x.pt2", "onnx")
    with pytest.raises(ConfigError, match="format: expected 'onnx', .*, found 'tensorrt'"):
        require_ready(tmp_path / "x.engine", "tensorrt")
    with pytest.raises(ConfigError, match="folding: expected 'auto' or 'never', found 'always'"):
        Deployment(counter.cfg, counter.checkpoint, "always")
    with pytest.raises(ConfigError, match="image_size.0: .* 32, found 16"):
        deployment = Deployment(counter.cfg, counter.checkpoint)
        deployment.write(tmp_path / "x.pt2", "torch-export", (16, 64))
    backbone = Config({"model": {"type": ResNet, "depth": 18}})
    with pytest.raises(ConfigError, match="expected ImageClassifier or EncoderDecoder"):
        Deployment(backbone, counter.checkpoint)


class Pools(nn.Module):
    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (nn.functional.avg_pool2d(x, 4),)


class AsksForTheSize(nn.Module):
    def forward(self, feature_maps: tuple[Tensor]) -> Tensor:
        return feature_maps[0][:, :1] * int(feature_maps[0].shape[-1])


class AsksForAValue(nn.Module):
    def forward(self, feature_maps: tuple[Tensor]) -> Tensor:
        x = feature_maps[0][:, :1]
        return x if x.sum() > 0 else -x


@pytest.mark.parametrize(
    ("head", "message"),
    [
        (AsksForTheSize(), "once exported, the network fails on 3 images of 41 x 57 pixels"),
        (AsksForAValue(), "cannot be exported for images of any size"),
    ],
)
def test_a_network_that_no_graph_stands_for_is_one_line(
    counter: Trained, tmp_path: Path, head: nn.Module, message: str
) -> None:
    deployment = Deployment(counter.cfg, counter.checkpoint)
    deployment.network.model.backbone = Pools()
    deployment.network.model.head = head
    with pytest.raises(ExportError, match=rf"toy\.py: {message}"):
        deployment.write(tmp_path / "x.pt2", "torch-export", EXAMPLE)
    assert list(tmp_path.iterdir()) == []
