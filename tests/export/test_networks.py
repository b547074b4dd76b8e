"""From pixels to the network's input and from its output to answers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from mmpretrain.datasets import CIFAR10
from mmpretrain.models import MultiLabelLinearClsHead
from mmseg.models import PSPHead
from torch import Tensor

from ean_transfer.attention import Attention
from ean_transfer.errors import ConfigError
from ean_transfer.export import Deployment, files, read_metadata
from ean_transfer.export.comparison import TOLERANCE, worst_differences
from tests.export.helpers import EXAMPLE, SHAPES, normalised, pixels, toy_config, trained


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
    mean, std = [10.0, 20.0, 30.0], [40.0, 50.0, 60.0]
    cfg.model.data_preprocessor.update(mean=mean, std=std, **preprocessor)
    if cifar:
        cfg.test_dataloader.dataset.type = CIFAR10
    network = trained(cfg, "full", tmp_path)
    images = pixels((2, 3, 32, 32))
    seen = images if sees_rgb else images.flip(1)
    seen = (seen - torch.tensor(mean).view(3, 1, 1)) / torch.tensor(std).view(3, 1, 1)
    logits = Deployment(cfg, network.checkpoint).network(images)["logits"]
    torch.testing.assert_close(logits, network.model(seen))


@pytest.mark.parametrize(
    ("task", "changes"),
    [
        ("classification", {"pad_size_divisor": 16}),
        ("segmentation", {"test_cfg": {"size_divisor": 16}}),
        ("segmentation", {"bgr_to_rgb": False}),
        ("crowd_counting", {"pad_size_divisor": 16}),
        ("crowd_counting", {"bgr_to_rgb": False, "rgb_to_bgr": True}),
    ],
    ids=str,
)
def test_padding_and_order_are_those_of_the_test_step(
    tmp_path: Path, task: str, changes: dict[str, Any]
) -> None:
    cfg = toy_config(task)
    cfg.model.data_preprocessor.update(
        mean=[100.0, 120.0, 140.0], std=[50.0, 60.0, 70.0], **changes
    )
    network = trained(cfg, "full", tmp_path)
    deployment = Deployment(cfg, network.checkpoint)

    def expected(images: Tensor) -> dict[str, Tensor]:
        return deployment.task.expected(network.model, images.flip(1))  # read as BGR

    def exported(images: Tensor) -> dict[str, Tensor]:
        return deployment.network(images.float())

    worst = worst_differences(exported, expected, [(2, 33, 47)])
    assert max(worst.values()) < TOLERANCE


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


@pytest.mark.slow
def test_labels_are_of_the_images_size_even_from_adaptive_pools(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    cfg = toy_config("segmentation")
    # Its pools of 2 x 2 and 3 x 3 cells have no ONNX form for all sizes.
    cfg.model.decode_head.update(type=PSPHead, pool_scales=(1, 2, 3), channels=8)
    del cfg.model.decode_head.num_convs
    cfg.model.decode_head.pop("concat_input", None)
    network = trained(cfg, "none", tmp_path)
    file = tmp_path / "segmentor.onnx"
    worst = Deployment(cfg, network.checkpoint).write(file, image_size=EXAMPLE)
    assert set(worst) == {"labels", "logits"} and max(worst.values()) < 1e-4
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


THRESHOLD = {"out_channels": 1, "num_classes": 2, "threshold": 0.3}
SIGMOID = {"loss_decode": {"use_sigmoid": True}}


@pytest.mark.parametrize(
    ("task", "changes", "message"),
    [
        ("segmentation", {"decode_head": THRESHOLD | SIGMOID}, "found a single output"),
        ("segmentation", {"data_preprocessor.test_cfg": {"size": (64, 64)}}, r"pads to \(64, 64\)"),
        ("classification", {"head.type": MultiLabelLinearClsHead}, "found MultiLabelLinearClsHead"),
    ],
    ids=str,
)
def test_a_model_that_the_outputs_do_not_express_is_refused(
    tmp_path: Path, task: str, changes: dict[str, Any], message: str
) -> None:
    cfg = toy_config(task)
    if "head.type" in changes:
        cfg.model.head.pop("topk")
        cfg.model.head.pop("loss")
    cfg.merge_from_dict({f"model.{key}": value for key, value in changes.items()})
    network = trained(cfg, "none", tmp_path)
    with pytest.raises(ConfigError, match=message):
        Deployment(cfg, network.checkpoint)


MODULES: dict[str, dict[str, int]] = {
    **{name: {"reduction": 4} for name in ("SE", "DIA", "CBAM", "SPA", "CoordAtt", "SEM", "LSAS")},
    **{name: {} for name in ("ECA", "IE", "SRM", "SimAM")},
    "SGE": {"groups": 4},
}


@pytest.mark.slow
@pytest.mark.parametrize("attention", MODULES)
def test_every_attention_has_an_onnx_form(attention: str, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    cfg = toy_config("classification")
    cfg.model.backbone["attention"] = {"type": attention, **MODULES[attention]}
    network = trained(cfg, "full", tmp_path)
    assert any(isinstance(module, Attention) for module in network.model.modules())
    worst = Deployment(cfg, network.checkpoint).write(tmp_path / "x.onnx", image_size=EXAMPLE)
    assert max(worst.values()) < 1e-5
