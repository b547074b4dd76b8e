"""A neck's and a head's channels are those of the maps that the backbone gives."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import nn

from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS

SHALLOW = {"model.backbone.depth": 18}


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        ("classification/resnet50_se_imagenet", {"head.in_channels": 512}),
        ("segmentation/fcn_resnet50_d8_sge_camvid", {"decode_head.in_channels": 512}),
        ("segmentation/pspnet_resnet50_d8_sge_voc2012", {"auxiliary_head.in_channels": 256}),
        (
            "segmentation/deeplabv3plus_resnet50_d8_sge_cityscapes",
            {"decode_head.in_channels": 512, "decode_head.c1_in_channels": 64},
        ),
        (
            "segmentation/upernet_resnet50_se_ade20k",
            {"decode_head.in_channels": [64, 128, 256, 512]},
        ),
        ("crowd_counting/resnet50_sge_shanghaitech_a", {"head.in_channels": 256}),
        (
            "crowd_counting/resnet50_fpn_sge_shanghaitech_a",
            {"neck.in_channels": [64, 128, 256, 512], "head.in_channels": 128},
        ),
    ],
)
def test_another_depth_is_one_change(name: str, channels: dict[str, Any]) -> None:
    cfg = load_config(CONFIGS / f"{name}.py", SHALLOW | {"model.backbone.attention": None})
    for key, number in channels.items():
        part, _, argument = key.partition(".")
        assert cfg.model[part][argument] == number
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        model(torch.rand(1, 3, 64, 64))
        if heads := getattr(model, "auxiliary_head", None):
            heads(model.backbone(torch.rand(1, 3, 64, 64)))


def test_a_backbone_of_another_library_is_one_change(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from ean_transfer.configs.segmentation.toy import *\n"
        "from ean_transfer.backbones import AttachedBackbone\n"
        "model['backbone'] = dict(\n"
        "    type=AttachedBackbone, model='torchvision:mobilenet_v3_small', out_indices=(-2,))\n"
    )
    cfg = load_config(tmp_path / "mine.py")
    assert cfg.model.decode_head.in_channels == 48
    assert MODELS.build(cfg.model)(torch.rand(2, 3, 64, 64)).shape[:2] == (2, 7)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        (
            "segmentation/fcn_resnet50_d8_sge_camvid",
            {"model.decode_head.in_channels": 2048},
            r"decode_head.in_channels is 2048, .* 64, 128, 256, 512 channels: set 512",
        ),
        (
            "segmentation/fcn_resnet50_d8_sge_camvid",
            {"model.decode_head.in_index": 4, "model.decode_head.in_channels": 512},
            r"decode_head.in_channels is 512, .* set another in_index",
        ),
        (
            "classification/resnet50_se_imagenet",
            {"model.head.in_channels": 2048},
            r"model.head.in_channels is 2048, .* have 512 channels: set 512, or leave it out",
        ),
        (
            "crowd_counting/resnet50_fpn_sge_shanghaitech_a",
            {"model.neck.in_channels": [256, 512]},
            r"model.neck.in_channels is \[256, 512\], .*: set \[64, 128, 256, 512\]",
        ),
    ],
)
def test_channels_that_do_not_fit_are_refused(name: str, options: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=f"{Path(name).name}.py: .*{message}") as refused:
        load_config(CONFIGS / f"{name}.py", SHALLOW | options)
    assert "\n" not in str(refused.value)


@MODELS.register_module()
class BothMaps(nn.Module):
    """A head that reads two maps at once, which no argument says."""

    def __init__(self, in_channels: int, num_classes: int) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.layer = nn.Linear(in_channels, num_classes)

    def forward(self, maps: tuple[torch.Tensor, ...]) -> torch.Tensor:
        return self.layer(torch.cat([one.mean((2, 3)) for one in maps[:2]], dim=1))


def test_channels_of_a_head_that_runs_with_them_are_its_own_affair() -> None:
    options = {
        "model.backbone.out_indices": (0, 1, 2),
        "model.neck": None,
        "model.head": dict(type="BothMaps", in_channels=8 + 16, num_classes=6, _delete_=True),
    }
    cfg = load_config(CONFIGS / "classification/toy.py", options)
    assert cfg.model.head.in_channels == 24


def test_loading_draws_no_random_numbers() -> None:
    before = torch.get_rng_state()
    load_config(CONFIGS / "crowd_counting/csrnet_shanghaitech_a.py", {"model.backbone.depth": 13})
    assert torch.equal(torch.get_rng_state(), before)
