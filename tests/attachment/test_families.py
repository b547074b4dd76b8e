"""The residual blocks of torchvision's and timm's networks, and the names of these networks."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
import torchvision.models as tv
from torch import nn
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.resnet import BasicBlock, Bottleneck, ResNet

from ean_transfer import TicketError, attach, blocks_of
from ean_transfer.attachment.families import backbone_name, stages_of
from ean_transfer.attachment.libraries import build_network
from ean_transfer.errors import ConfigError
from tests.attachment.networks import sizes


@pytest.mark.parametrize(
    ("build", "stages", "channels"),
    [
        (tv.resnet18, [2, 2, 2, 2], [64, 128, 256, 512]),
        (tv.resnet50, [3, 4, 6, 3], [256, 512, 1024, 2048]),
        (tv.wide_resnet50_2, [3, 4, 6, 3], [256, 512, 1024, 2048]),
        (tv.resnext101_32x8d, [3, 4, 23, 3], [256, 512, 1024, 2048]),
        (tv.regnet_y_400mf, [1, 3, 6, 6], [48, 104, 208, 440]),
        (tv.regnet_x_400mf, [1, 2, 7, 12], [32, 64, 160, 400]),
        (tv.mobilenet_v2, [1, 2, 3, 2, 2], [24, 32, 64, 96, 160]),
        (tv.mobilenet_v3_small, [1, 2, 1, 2], [24, 40, 48, 96]),
        (tv.mobilenet_v3_large, [1, 1, 2, 3, 1, 2], [16, 24, 40, 80, 112, 160]),
        (tv.efficientnet_b0, [1, 1, 2, 2, 3], [24, 40, 80, 112, 192]),
        (tv.efficientnet_v2_s, [2, 3, 3, 5, 8, 14], [24, 48, 64, 128, 160, 256]),
        (tv.convnext_tiny, [3, 3, 9, 3], [96, 192, 384, 768]),
        (
            partial(tv.segmentation.fcn_resnet50, weights_backbone=None),
            [3, 4, 6, 3],
            [256, 512, 1024, 2048],
        ),
        (
            partial(tv.detection.fasterrcnn_mobilenet_v3_large_fpn, weights_backbone=None),
            [1, 1, 2, 3, 1, 2],
            [16, 24, 40, 80, 112, 160],
        ),
    ],
)
def test_published_networks_have_their_blocks(build: Any, stages: list, channels: list) -> None:
    on_meta = build not in (tv.regnet_y_400mf, tv.regnet_x_400mf)  # they compute with tensors
    with torch.device("meta" if on_meta else "cpu"):
        model = build()
    blocks = blocks_of(model)
    assert sizes(model) == stages
    assert [stage[0].channels for stage in stages_of(blocks)] == channels
    modules = dict(model.named_modules())
    assert all(modules[block.name] is block.module for block in blocks)


@pytest.mark.parametrize(
    ("build", "name"),
    [
        (tv.resnet18, "resnet18"),
        (tv.resnet34, "resnet34"),
        (tv.resnet50, "resnet50"),
        (tv.resnet101, "resnet101"),
        (tv.resnet152, "resnet152"),
        (tv.resnext50_32x4d, "resnext50_32x4d"),
        (tv.resnext101_32x8d, "resnext101_32x8d"),
        (tv.resnext101_64x4d, "resnext101_64x4d"),
        (tv.wide_resnet50_2, "wide_resnet50_2"),
        (tv.wide_resnet101_2, "wide_resnet101_2"),
        (partial(ResNet, Bottleneck, [1, 1, 1, 1]), "resnet_bottleneck_1x64d_256-512-1024-2048"),
        (
            partial(ResNet, Bottleneck, [3, 4, 6, 3], groups=2, width_per_group=8),
            "resnext50_2x8d",
        ),
        (tv.convnext_small, "convnext_96-192-384-768"),
        (tv.convnext_base, "convnext_128-256-512-1024"),
        (tv.efficientnet_v2_s, "efficientnet_24-48-64-128-160-256"),
    ],
)
def test_tickets_name_the_architecture(build: Any, name: str) -> None:
    with torch.device("meta"):
        model = build()
    assert backbone_name(blocks_of(model)) == name


def test_block_that_changes_shape_without_a_skip_ends_a_stage() -> None:
    # 24 and 32 channels times 0.25 are both 8, before and after a stride.
    assert sizes(MobileNetV2(5, 0.25, [[1, 32, 1, 1], [6, 24, 2, 2], [6, 32, 3, 2]])) == [1, 1, 2]


def test_subclass_of_a_known_block_is_a_block() -> None:
    class MyBlock(BasicBlock):
        pass

    assert [block.name for block in blocks_of(nn.Sequential(MyBlock(8, 8)))] == ["0"]


@pytest.mark.parametrize("model", [nn.Sequential(nn.Conv2d(3, 8, 1)), tv.SqueezeNet()])
def test_model_without_residual_blocks_is_refused(model: nn.Module) -> None:
    with pytest.raises(ConfigError, match="no residual block.*docs/networks.md"):
        blocks_of(model)


@pytest.mark.parametrize("name", ["ghostnet_050", "ghostnetv3_050"])
def test_layers_between_residual_blocks_of_unknown_classes_are_no_blocks(name: str) -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model(name)
    with pytest.raises(ConfigError, match="no residual block.*attach\\(at"):
        blocks_of(model)


def test_timms_own_attention_comes_first_and_is_in_the_name() -> None:
    timm = pytest.importorskip("timm")
    with torch.device("meta"):
        model = timm.create_model("seresnet50")
    assert blocks_of(model)[0].end is model.layer1[0].se
    with pytest.raises(TicketError, match="the network has resnet50_SEModule"):
        attach(model, "SE", ticket="zoo:ean-se-resnet50")


@pytest.mark.parametrize(
    ("encoder", "name"),
    [
        ("efficientnet-b0", "timm:efficientnet_b0"),
        ("se_resnet50", "timm:seresnet50"),
        ("se_resnext50_32x4d", "timm:seresnext50_32x4d"),
        ("mobilenet_v2", "torchvision:mobilenet_v2"),
    ],
)
def test_encoders_have_their_networks_names(encoder: str, name: str) -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    with torch.device("meta"):
        ours, theirs = smp.Unet(encoder, encoder_weights=None), build_network(name)
    assert backbone_name(blocks_of(ours)) == backbone_name(blocks_of(theirs))
    assert [block.channels for block in blocks_of(ours)] == [
        block.channels for block in blocks_of(theirs)
    ]


def test_attention_of_an_encoder_acts_on_what_its_blocks_add() -> None:
    smp = pytest.importorskip("segmentation_models_pytorch")
    model = smp.Unet("efficientnet-b0", encoder_weights=None).eval()
    added: list[torch.Tensor] = []
    block = blocks_of(model)[0].module
    block.register_forward_hook(lambda _module, args, output: added.append(output - args[0]))
    x = torch.rand(1, 3, 32, 32)
    with torch.no_grad():
        model(x)
        attach(model, "SE")
        for parameter in model.attention.parameters():
            parameter.zero_()  # a gate of a half
        model(x)
    assert torch.allclose(added[1], added[0] / 2, atol=1e-6)
