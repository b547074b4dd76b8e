"""mmsegmentation's own ResNets: the same maps from the same weights, by its configs as they are."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmseg.models.backbones import ResNet, ResNetV1c, ResNetV1d
from torch import nn

from ean_transfer import build_backbone
from ean_transfer.errors import ConfigError

# Its published layouts of output stride 8, and of 16 with a multi-grid (deeplabv3_r101-d16-mg124).
D8 = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4), contract_dilation=True)
D16 = dict(strides=(1, 2, 2, 1), dilations=(1, 1, 1, 2), multi_grid=(1, 2, 4))
VARIANTS: dict[type, dict[str, Any]] = {
    ResNet: {},
    ResNetV1c: {"deep_stem": True},
    ResNetV1d: {"deep_stem": True, "avg_down": True},
}


def randomise(network: nn.Module) -> None:
    torch.manual_seed(5)
    for name, tensor in network.state_dict().items():
        if name.endswith(("running_var", "bn.weight")) or "bn" in name.split(".")[-2]:
            tensor.uniform_(0.5, 1.5) if tensor.is_floating_point() else None
        elif tensor.is_floating_point():
            nn.init.normal_(tensor, std=0.1)


@pytest.mark.parametrize("theirs", VARIANTS)
@pytest.mark.parametrize("layout", [{}, D8, D16, D8 | {"multi_grid": (1, 2, 4)}])
def test_maps_equal_those_of_mmsegmentations_network(
    tmp_path: Path, theirs: type, layout: dict[str, Any]
) -> None:
    small = dict(depth=50, base_channels=4, stem_channels=4, out_indices=(0, 1, 2, 3), **layout)
    reference = theirs(**small)
    randomise(reference)
    torch.save({"state_dict": reference.state_dict(), "meta": {}}, tmp_path / "theirs.pth")
    depth = small.pop("depth")
    ours = build_backbone(
        f"resnet{depth}",
        ticket="none",
        **small,
        **VARIANTS[theirs],
        pretrained=str(tmp_path / "theirs.pth"),
    )
    x = torch.randn(2, 3, 65, 65)
    for mode in (False, True):
        ours.train(mode)
        reference.train(mode)
        for our_map, their_map in zip(ours(x), reference(x), strict=True):
            assert torch.equal(our_map, their_map)


def test_basic_blocks_dilate_like_theirs() -> None:
    layout = D16 | {"multi_grid": (2, 4)}
    reference = ResNet(depth=18, base_channels=4, stem_channels=4, **layout)
    reference.eval()
    ours = build_backbone(
        "resnet18", "SE", ticket="none", base_channels=4, stem_channels=4, **layout
    ).eval()
    ours.load_state_dict(reference.state_dict())
    x = torch.randn(1, 3, 64, 64)
    assert torch.equal(ours(x)[0], reference(x)[-1])


def test_a_multi_grid_has_one_value_per_block() -> None:
    with pytest.raises(ConfigError, match=r"last stage's 3 blocks, found \(1, 2\)"):
        build_backbone("resnet50", base_channels=4, multi_grid=(1, 2))


def test_a_published_config_takes_a_ticket_by_its_backbones_type_alone(tmp_path: Path) -> None:
    published = """
norm_cfg = dict(type='BN', requires_grad=True)
model = dict(
    type='mmseg.EncoderDecoder',
    pretrained={weights!r},
    backbone=dict(
        type={kind!r}, depth=50, num_stages=4, out_indices=(0, 1, 2, 3), dilations=(1, 1, 2, 4),
        strides=(1, 2, 1, 1), norm_cfg=norm_cfg, norm_eval=False, style='pytorch',
        contract_dilation=True, {more} base_channels=4, stem_channels=4),
    decode_head=dict(
        type='mmseg.DepthwiseSeparableASPPHead', in_channels=128, in_index=3, channels=8,
        dilations=(1, 12, 24, 36), c1_in_channels=16, c1_channels=4, dropout_ratio=0.1,
        num_classes=19, norm_cfg=norm_cfg, align_corners=False),
    test_cfg=dict(mode='whole'))
"""
    weights = ResNetV1c(depth=50, base_channels=4, stem_channels=4)
    randomise(weights)
    torch.save({"state_dict": weights.state_dict()}, tmp_path / "v1c.pth")
    maps = []
    for kind, more in (("mmseg.ResNetV1c", ""), ("TicketResNet", "deep_stem=True,")):
        text = published.format(weights=str(tmp_path / "v1c.pth"), kind=kind, more=more)
        model = MODELS.build(Config.fromstring(text, ".py").model)
        model.init_weights()
        model.eval()
        torch.manual_seed(0)
        maps.append(model.backbone(torch.randn(1, 3, 64, 64)))
    assert all(map(torch.equal, *maps)) and len(maps[0]) == 4
