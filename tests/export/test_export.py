"""Networks as files: what a file computes is the network, whatever runs it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmpretrain.datasets import CIFAR10
from mmpretrain.models import ImageClassifier, ResNet
from mmseg.models import PSPHead
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer import Ticket, TicketError
from ean_transfer.attention import Attention
from ean_transfer.backbones import TicketResNet
from ean_transfer.crowd_counting import CountingDataSample
from ean_transfer.engine.config import load_config
from ean_transfer.engine.inference import load_trained
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.export import (
    Deployment,
    ExportError,
    exported_ticket,
    files,
    read_metadata,
    require_ready,
)
from ean_transfer.export.comparison import TOLERANCE, differences, worst_differences
from ean_transfer.toy import KINDS
from tests.helpers import ROOT

SHALLOW = {"model.backbone.depth": 8}  # a block a stage, so that exporting takes half as long
SE = {"attention_options": {"reduction": 4}}
MIXED = Ticket.from_bits("1 0 1", "resnet8_cifar", "SE", **SE).replace(asr=("1", "1", "0"))
EXAMPLE = (40, 56)  # what the networks are traced with
SHAPES = [(1, 3, 33, 47), (3, 3, 48, 32)]  # batches and sizes that they are not
MEAN, STD = 127.5, 64.0  # of the toy world
RunTool = Callable[..., tuple[int, str, str]]


class Trained(NamedTuple):
    cfg: Config
    checkpoint: Path
    model: nn.Module


def trained(cfg: Config, ticket: Any, folder: Path) -> Trained:
    """A network all of whose parameters and statistics are away from their initial values."""
    cfg.model.backbone["ticket"] = (
        ticket.model_dump(mode="json") if isinstance(ticket, Ticket) else ticket
    )
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        for norm in (module for module in model.modules() if isinstance(module, _BatchNorm)):
            norm.running_mean.normal_(0.0, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    file = folder / "epoch_1.pth"
    write_network(model, file)
    cfg.model.backbone["ticket"] = None  # the checkpoint's counts
    return Trained(cfg, file, model)


def toy_config(task: str, **options: Any) -> Config:
    return load_config(ROOT / "configs" / task / "toy.py", {**SHALLOW, **options})


def pixels(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """RGB images (N, 3, H, W) of whole numbers in [0, 255], float32."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator).float()


def normalised(images: Tensor) -> Tensor:
    return (images - MEAN) / STD


class Exported(NamedTuple):
    file: Path
    trained: Trained
    said: str


@pytest.fixture(scope="module")
def classifier(tmp_path_factory: pytest.TempPathFactory, run_tool: RunTool) -> Exported:
    """Exported to ONNX at the command line."""
    pytest.importorskip("onnxruntime")
    network = trained(toy_config("classification"), MIXED, tmp_path_factory.mktemp("classifier"))
    code, out, err = run_tool(
        "export", ROOT / "configs/classification/toy.py", network.checkpoint,
        "--image-size", *EXAMPLE, "--cfg-options", "model.backbone.depth=8",
    )  # fmt: skip
    assert (code, err) == (0, "")
    return Exported(network.checkpoint.with_suffix(".onnx"), network, out)


@pytest.fixture(scope="module")
def counter(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    folder = tmp_path_factory.mktemp("counter")
    return trained(toy_config("crowd_counting"), MIXED, folder)


@pytest.fixture(autouse=True)
def _no_gradients() -> Iterator[None]:
    with torch.no_grad():
        yield


# -- the command line and what it wrote ------------------------------------------------------


def test_the_command_says_what_it_folded_wrote_and_measured(classifier: Exported) -> None:
    ticket, folded, heading, scores, logits, wrote = classifier.said.splitlines()
    assert ticket.startswith("ticket: SE (reduction=4) on resnet8_cifar")
    assert ticket.endswith(f"2 of 3 blocks, 2 to fold, id {MIXED.id}")
    assert folded.startswith("folded 2 blocks") and folded.endswith(f"id {MIXED.folded().id}")
    for line, name in ((scores, "scores"), (logits, "logits")):
        output, value = line.split()
        assert output == name and 0 < float(value) < 1e-5
    assert wrote.startswith(f"wrote {classifier.file} (0.")
    assert sorted(path.name for path in classifier.file.parent.iterdir()) == [
        "epoch_1.onnx",
        "epoch_1.pth",
    ]


@pytest.mark.parametrize("shape", SHAPES)
def test_onnx_takes_rgb_pixels_of_any_batch_and_size(classifier: Exported, shape: tuple) -> None:
    import onnxruntime

    session = onnxruntime.InferenceSession(classifier.file, providers=["CPUExecutionProvider"])
    images = pixels(shape)
    scores, logits = session.run(["scores", "logits"], {"image": images.numpy()})
    expected = classifier.trained.model(normalised(images))  # a toy network sees RGB
    np.testing.assert_allclose(logits, expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(scores, expected.softmax(1), atol=1e-6)
    # The order of the channels matters to this network: the test would see a wrong one.
    assert (classifier.trained.model(normalised(images.flip(1))) - expected).abs().max() > 1e-2


def test_a_file_gives_its_ticket_back_without_running_it(classifier: Exported) -> None:
    ticket = exported_ticket(classifier.file)
    assert ticket.id == MIXED.folded().id and ticket.to_fold == 0
    metadata = read_metadata(classifier.file)
    assert metadata["ean_transfer.task"] == "classification"
    assert json.loads(metadata["ean_transfer.classes"]) == list(KINDS)
    assert "RGB, 0..255; H >= 32, W >= 32" in metadata["ean_transfer.input"]
    assert str(ROOT).encode() not in classifier.file.read_bytes()  # no paths of where it was made


def test_a_wrong_file_is_not_left_under_its_name(
    classifier: Exported, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, run_tool: RunTool
) -> None:
    import onnx

    model = onnx.load(str(classifier.file))
    weight = next(w for w in model.graph.initializer if len(w.dims) == 4)
    values = onnx.numpy_helper.to_array(weight) * np.float32(1.01)
    weight.CopyFrom(onnx.numpy_helper.from_array(values, weight.name))
    monkeypatch.setattr(files, "write_onnx", lambda *args: onnx.save(model, str(args[1])))
    out = tmp_path / "wrong.onnx"
    command = [ROOT / "configs/classification/toy.py", classifier.trained.checkpoint, "--out", out,
               "--cfg-options", "model.backbone.depth=8"]  # fmt: skip
    code, _, err = run_tool("export", *command)
    assert code == 1 and err.count("\n") == 1
    assert f"{out}: not written, since it would differ from the network as trained" in err
    assert list(tmp_path.iterdir()) == []

    out.write_bytes(classifier.file.read_bytes())  # an earlier export, which stays as it is
    assert run_tool("export", *command)[0] == 1
    assert list(tmp_path.iterdir()) == [out]
    assert out.read_bytes() == classifier.file.read_bytes()


# -- counting, segmentation ------------------------------------------------------------------


def counts_of(model: nn.Module, images: Tensor) -> Tensor:
    """As the counter predicts them, of BGR images of 8 bits."""
    samples = [CountingDataSample(metainfo={"img_shape": images.shape[-2:]}) for _ in images]
    inputs = list(images.flip(1).to(torch.uint8))
    predicted = model.test_step({"inputs": inputs, "data_samples": samples})
    return torch.tensor([sample.pred_count for sample in predicted])


@pytest.mark.parametrize("format", ["onnx", pytest.param("torch-export", marks=pytest.mark.slow)])
def test_counts_are_the_counters_at_any_size(counter: Trained, tmp_path: Path, format: str) -> None:
    if format == "onnx":
        pytest.importorskip("onnxruntime")
    file = tmp_path / f"counter{files.FORMATS[format]}"
    folding = "never" if format == "onnx" else "auto"
    deployment = Deployment(counter.cfg, counter.checkpoint, folding)
    found = deployment.write(file, format, EXAMPLE)
    assert set(found) == {"counts", "density"} and max(found.values()) < 1e-5
    assert exported_ticket(file).id == (MIXED if folding == "never" else MIXED.folded()).id
    assert str(ROOT).encode() not in file.read_bytes()
    read = files.run_onnx if format == "onnx" else files.run_program
    run = read(file)
    for shape in SHAPES:
        images = pixels(shape)
        counts = counts_of(counter.model, images)
        outputs = run(images)
        # 33 x 47 is padded to 36 x 48, and what is seen in the padding is cut off.
        assert outputs["density"].shape == (len(images), 1, -(-shape[2] // 4), -(-shape[3] // 4))
        torch.testing.assert_close(outputs["counts"], counts, rtol=1e-5, atol=1e-5)
        assert counts.min() > 0.5  # or else there would be little to see


@pytest.mark.slow
def test_labels_are_of_the_images_size_even_from_adaptive_pools(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    cfg = toy_config("segmentation")
    # Its pools of 2 x 2 and 3 x 3 cells have no ONNX form for all sizes.
    head = {"type": PSPHead, "pool_scales": (1, 2, 3), "channels": 8}
    cfg.model.decode_head = {
        key: value
        for key, value in {**cfg.model.decode_head, **head}.items()
        if key not in ("num_convs", "concat_input")
    }
    network = trained(cfg, "none", tmp_path)
    file = tmp_path / "segmentor.onnx"
    deployment = Deployment(cfg, network.checkpoint)
    assert deployment.folded == 0
    found = deployment.write(file, image_size=EXAMPLE)
    assert set(found) == {"labels", "logits"} and max(found.values()) < 1e-4
    run = files.run_onnx(file)
    for shape in SHAPES:
        images = pixels(shape)
        size = tuple(shape[2:])
        outputs = run(images)
        expected = network.model.encode_decode(normalised(images), [{"img_shape": size}])
        torch.testing.assert_close(outputs["logits"], expected, rtol=1e-4, atol=1e-4)
        assert outputs["labels"].shape == (len(images), *size)
        assert outputs["labels"].dtype == torch.int64
        assert len(outputs["labels"].unique()) > 1
        assert (outputs["labels"] == expected.argmax(1)).float().mean() > 0.999
    assert json.loads(read_metadata(file)["ean_transfer.classes"])[:2] == ["background", "red"]


# -- from pixels to the network's input ------------------------------------------------------


@pytest.mark.parametrize(
    ("preprocessor", "cifar", "sees_rgb"),
    [
        ({"to_rgb": True}, False, True),
        ({"to_rgb": False}, False, False),
        ({"to_rgb": False}, True, True),  # mmpretrain's CIFAR gives RGB
        ({"to_rgb": True}, True, False),
    ],
)
def test_rgb_reaches_the_network_in_the_order_it_was_trained_in(
    tmp_path: Path, preprocessor: dict, cifar: bool, sees_rgb: bool
) -> None:
    cfg = toy_config("classification")
    cfg.model.data_preprocessor.update(mean=[10.0, 20.0, 30.0], std=[40.0, 50.0, 60.0])
    cfg.model.data_preprocessor.update(preprocessor)
    if cifar:
        cfg.test_dataloader.dataset.type = CIFAR10
    network = trained(cfg, "full", tmp_path)
    deployment = Deployment(cfg, network.checkpoint)
    images = pixels((2, 3, 32, 32))
    mean = torch.tensor([10.0, 20.0, 30.0]).reshape(3, 1, 1)
    std = torch.tensor([40.0, 50.0, 60.0]).reshape(3, 1, 1)
    seen = ((images if sees_rgb else images.flip(1)) - mean) / std
    torch.testing.assert_close(deployment.network(images)["logits"], network.model(seen))


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("classification", {"model.data_preprocessor.pad_size_divisor": 16}),
        ("segmentation", {"model.data_preprocessor.test_cfg": {"size_divisor": 16}}),
        ("segmentation", {"model.data_preprocessor.bgr_to_rgb": False}),
        ("crowd_counting", {"model.data_preprocessor.pad_size_divisor": 16}),
        (
            "crowd_counting",
            {
                "model.data_preprocessor.bgr_to_rgb": False,
                "model.data_preprocessor.rgb_to_bgr": True,
            },
        ),
    ],
)
def test_padding_and_order_are_those_of_the_test_step(
    tmp_path: Path, task: str, changes: dict[str, Any]
) -> None:
    cfg = toy_config(task, **changes)
    for name, values in (("mean", [100.0, 120.0, 140.0]), ("std", [50.0, 60.0, 70.0])):
        cfg.model.data_preprocessor[name] = values
    network = trained(cfg, "full", tmp_path)
    deployment = Deployment(cfg, network.checkpoint)

    def expected(images: Tensor) -> dict[str, Tensor]:
        ordered = images if "rgb_to_bgr" in str(changes) else images.flip(1)
        return deployment.task.expected(network.model, ordered)

    def found(images: Tensor) -> dict[str, Tensor]:
        return deployment.network(images.float())

    assert max(worst_differences(found, expected, [(2, 33, 47)]).values()) < TOLERANCE


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
    cfg = Config(
        {
            "model": {
                "type": ImageClassifier,
                "backbone": {
                    "type": TicketResNet,
                    "zero_init_residual": False,
                    "attention": {"type": "SE", "reduction": 4},
                    "asr": True,
                    **small,
                },
                "neck": {"type": "mmpretrain.GlobalAveragePooling"},
                "head": {"type": "mmpretrain.LinearClsHead", "num_classes": 3, "in_channels": 64},
            }
        }
    )
    network = trained(cfg, "full", tmp_path)
    file = tmp_path / "folded.pth"
    deployment = Deployment(cfg, network.checkpoint)
    assert deployment.folded == 8
    deployment.write(file, "checkpoint")
    checkpoint = torch.load(file, weights_only=True)
    weights = checkpoint["state_dict"]
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


def test_a_wrong_checkpoint_is_not_written(counter: Trained, tmp_path: Path) -> None:
    deployment = Deployment(counter.cfg, counter.checkpoint)
    deployment.model.head.density.weight.mul_(1.01)
    with pytest.raises(ExportError, match=r"not written.*counts by"):
        deployment.write(tmp_path / "counter.pth", "checkpoint")
    assert list(tmp_path.iterdir()) == []


def test_windows_and_tiles_stay_outside(tmp_path: Path) -> None:
    cfg = toy_config("segmentation")
    cfg.model.test_cfg = {"mode": "slide", "crop_size": (32, 32), "stride": (16, 16)}
    network = trained(cfg, "none", tmp_path)
    deployment = Deployment(cfg, network.checkpoint)
    assert deployment.cuts_images
    images = pixels((1, 3, 48, 64))
    whole = network.model.encode_decode(normalised(images), [{"img_shape": (48, 64)}])
    torch.testing.assert_close(deployment.network(images)["logits"], whole)
    deployment.write(tmp_path / "whole.pth", "checkpoint")  # is compared with whole images, too


# -- the measure -----------------------------------------------------------------------------


def test_differences_are_absolute_below_one_and_relative_above() -> None:
    expected = {"counts": torch.tensor([0.5, 200.0])}
    for found, value in (([0.5, 200.0], 0), ([0.6, 200.0], 0.1), ([0.5, 210.0], 0.05)):
        difference = differences({"counts": torch.tensor(found)}, expected)["counts"]
        assert difference == pytest.approx(value)
    assert differences({"counts": torch.tensor([0.5])}, expected)["counts"].isinf()
    assert differences({"counts": torch.tensor([torch.nan, 200.0])}, expected)["counts"].isnan()


@pytest.mark.parametrize(
    ("logits", "label", "difference"),
    [
        ((4.0, 3.9996), 0, 0.0),
        ((4.0, 3.9996), 1, 1e-4),  # relative to the largest
        ((0.3, 0.2), 1, 0.1),  # which is below 1
        ((-0.2, 5.0), 0, 1.04),
    ],
)
def test_labels_may_differ_where_their_logits_hardly_do(
    logits: tuple[float, ...], label: int, difference: float
) -> None:
    pixel = torch.tensor(logits).reshape(1, 2, 1, 1)
    expected = {"labels": pixel.argmax(1), "logits": pixel}
    found = {"labels": torch.tensor([[[label]]]), "logits": pixel}
    assert differences(found, expected)["labels"] == pytest.approx(difference, rel=1e-2)


def test_one_wrong_batch_is_not_forgotten() -> None:
    def found(images: Tensor) -> dict[str, Tensor]:
        wrong = torch.nan if images.shape[-1] == 5 else 0.0
        return {"mean": images.float().mean(dim=(1, 2, 3)) + wrong}

    def expected(images: Tensor) -> dict[str, Tensor]:
        return {"mean": images.float().mean(dim=(1, 2, 3))}

    assert worst_differences(found, expected, [(1, 4, 4)])["mean"] == 0
    worst = worst_differences(found, expected, [(1, 4, 5), (2, 4, 4)])["mean"]
    assert worst != worst


# -- what is refused -------------------------------------------------------------------------


def test_missing_packages_are_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, counter: Trained, run_tool: RunTool
) -> None:
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    command = [ROOT / "configs/crowd_counting/toy.py", counter.checkpoint]
    code, out, err = run_tool("export", *command, "--out", tmp_path / "x.onnx")
    expected = 'error: the format onnx needs onnxscript: pip install -e ".[export]"\n'
    assert (code, out, err) == (2, "", expected)
    require_ready(tmp_path / "x.pt2", "torch-export")  # needs none


def test_no_other_file_is_replaced(tmp_path: Path, counter: Trained) -> None:
    with pytest.raises(ConfigError, match="found another, which would be replaced"):
        require_ready(counter.checkpoint, "checkpoint")
    other = tmp_path / "other.pt2"
    other.write_text("mine")
    with pytest.raises(ConfigError, match="found another, which would be replaced"):
        require_ready(other, "torch-export")
    earlier = tmp_path / "earlier.pth"
    deployment = Deployment(counter.cfg, counter.checkpoint)
    for _ in range(2):
        deployment.write(earlier, "checkpoint")
    assert exported_ticket(earlier).id == MIXED.folded().id


def test_what_cannot_be_exported_is_refused(tmp_path: Path, counter: Trained) -> None:
    with pytest.raises(ConfigError, match=r"expected a \.onnx file for onnx, found"):
        require_ready(tmp_path / "x.pt2", "onnx")
    with pytest.raises(ConfigError, match="expected a format of onnx, torch-export, checkpoint"):
        require_ready(tmp_path / "x.engine", "tensorrt")
    with pytest.raises(ConfigError, match="expected folding as 'auto' or 'never', found 'always'"):
        Deployment(counter.cfg, counter.checkpoint, "always")
    with pytest.raises(ConfigError, match="at least 32 pixels a side, found 16 x 64"):
        deployment = Deployment(counter.cfg, counter.checkpoint)
        deployment.write(tmp_path / "x.pt2", "torch-export", (16, 64))
    backbone = Config({"model": {"type": ResNet, "depth": 18}})
    with pytest.raises(ConfigError, match="expected ImageClassifier, EncoderDecoder"):
        Deployment(backbone, counter.checkpoint)
    for changes, message in (
        ({"model.decode_head.out_channels": 1, "model.decode_head.num_classes": 2,
          "model.decode_head.threshold": 0.3}, "found one output with a threshold"),
        ({"model.data_preprocessor.test_cfg": {"size": (64, 64)}}, "pads test images to"),
    ):  # fmt: skip
        cfg = toy_config("segmentation", **changes)
        if "threshold" in message:
            cfg.model.decode_head.loss_decode["use_sigmoid"] = True
        network = trained(cfg, "none", tmp_path)
        with pytest.raises(ConfigError, match=message):
            Deployment(cfg, network.checkpoint)
    with pytest.raises(ExportError, match="no such file"):
        read_metadata(tmp_path / "gone.onnx")


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


# -- every attention -------------------------------------------------------------------------

MODULES = {
    "SE": {"reduction": 4},
    "SGE": {"groups": 4},
    "DIA": {"reduction": 4},
    "CBAM": {"reduction": 4},
    "ECA": {},
    "SPA": {"reduction": 4},
    "IE": {},
    "SRM": {},
    "SimAM": {},
    "CoordAtt": {"reduction": 4},
    "SEM": {"reduction": 4},
    "LSAS": {"reduction": 4},
}


@pytest.mark.slow
@pytest.mark.parametrize("attention", MODULES)
def test_every_attention_has_an_onnx_form(attention: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    cfg = toy_config("classification")
    cfg.model.backbone["attention"] = {"type": attention, **MODULES[attention]}
    network = trained(cfg, "full", tmp_path)
    assert any(isinstance(module, Attention) for module in network.model.modules())
    found = Deployment(cfg, network.checkpoint).write(tmp_path / "x.onnx", image_size=EXAMPLE)
    assert max(found.values()) < 1e-5
