"""mmseg's heads on ticketed backbones, as in the configs, but for a quarter of the width."""

from __future__ import annotations

import copy
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmseg.models import CCHead, FCNHead, FocalLoss, PointHead, PSAHead
from mmseg.structures import OHEMPixelSampler
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from ean_transfer.attention import Attention
from ean_transfer.engine.config import load_config
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket
from tests.helpers import CONFIGS, quick_pairs
from tests.segmentation.helpers import noise_batch

SIDE = 32  # pixels
NARROWER = 4  # times: stages of 64, 128, 256 and 512 channels
HEADS = {
    "FCNHead": "fcn_resnet50_d8_sge_camvid",
    "PSPHead": "pspnet_resnet50_d8_sge_voc2012",
    "ASPPHead": "deeplabv3_resnet50_d8_dia_voc2012",
    "DepthwiseSeparableASPPHead": "deeplabv3plus_resnet50_d8_sge_cityscapes",
    "UPerHead": "upernet_resnet50_se_ade20k",
}
ATTENTION = {
    "SE": {"type": "SE", "reduction": 16},
    "SGE": {"type": "SGE", "groups": 64},
    "DIA": {"type": "DIA", "reduction": 20},
}


@cache
def config(name: str) -> Config:
    return load_config(CONFIGS / f"segmentation/{name}.py")


def narrow(name: str, **backbone: Any) -> ConfigDict:
    """A config's model, a quarter as wide, with changes to its backbone."""
    model = copy.deepcopy(config(name).model)
    # Not by update(), which merges: an SE would keep another attention's options.
    for key, value in {"base_channels": 16, "stem_channels": 16, **backbone}.items():
        model.backbone[key] = value
    for head in (model.decode_head, model.auxiliary_head):
        head.channels = 16
        for key in {"in_channels", "c1_in_channels", "c1_channels"} & head.keys():
            wide = head[key]
            several = isinstance(wide, list)
            head[key] = [c // NARROWER for c in wide] if several else wide // NARROWER
    model.data_preprocessor.size = (SIDE, SIDE)
    return model


def losses_of(model: nn.Module, data: dict[str, list[Any]]) -> dict[str, Tensor]:
    model.train()
    return model(**model.data_preprocessor(copy.deepcopy(data), training=True), mode="loss")


def predictions_of(model: nn.Module, data: dict[str, list[Any]]) -> list[Tensor]:
    model.eval()
    with torch.no_grad():
        return [out.pred_sem_seg.data for out in model.test_step(copy.deepcopy(data))]


@pytest.mark.parametrize(
    ("head", "attention", "ticket"),
    quick_pairs(HEADS, ATTENTION, [("none",), ("full",), ("zoo",)]),
)
def test_a_head_trains_and_predicts_on_a_ticket(head: str, attention: str, ticket: str) -> None:
    spec = f"zoo:ean-{attention.lower()}-resnet50" if ticket == "zoo" else ticket
    torch.manual_seed(0)
    model = MODELS.build(narrow(HEADS[head], attention=ATTENTION[attention], ticket=spec))
    assert type(model.decode_head).__name__ == head and type(model.auxiliary_head) is FCNHead
    data = noise_batch(model.num_classes)

    losses = losses_of(model, data)
    assert {"decode.loss_ce", "aux.loss_ce"} <= losses.keys()
    loss, _ = model.parse_losses(losses)
    assert loss.isfinite()
    loss.backward()
    # A parameter that the loss does not reach stops a training on several processes.
    assert [name for name, weight in model.named_parameters() if weight.grad is None] == []
    backbone = find_backbone(model)
    attentions = [module for module in backbone.modules() if isinstance(module, Attention)]
    connected_stages = sum("1" in stage for stage in backbone.ticket.stages)
    assert len(attentions) == connected_stages and bool(attentions) == (ticket != "none")
    for module in attentions:
        gradient = torch.cat([weight.grad.flatten() for weight in module.parameters()])
        assert gradient.isfinite().all() and gradient.abs().sum() > 0

    for labels in predictions_of(model, data):
        assert labels.shape == (1, SIDE, SIDE)
        assert set(labels.unique().tolist()) <= set(range(model.num_classes))


# -- the configs' own settings ---------------------------------------------------------------------

OTHERS = [
    "deeplabv3_resnet101_d8_sge_ade20k",
    "deeplabv3plus_resnet50v1c_d8_se_cityscapes",
    "fcn_resnet50_d8_sge_camvid_weighted",
    "pspnet_resnet50_d8_dia_cityscapes_ohem",
]


@pytest.mark.parametrize("head", sorted(HEADS.keys() - {"FCNHead"}))
def test_a_batch_of_one_image_is_one_line(head: str) -> None:
    cfg = config(HEADS[head])
    model = MODELS.build(narrow(HEADS[head], ticket="none"))
    one = {key: values[:1] for key, values in noise_batch(model.num_classes).items()}
    line = rf"{HEADS[head]}\.py: .*one image in a batch.*train_dataloader\.batch_size.*drop_last"
    with pytest.raises(ConfigError, match=line), config_errors(cfg):
        losses_of(model, one)
    predictions_of(model, one)


@pytest.mark.parametrize("name", OTHERS)
def test_the_other_configs_train_and_predict(name: str) -> None:
    model = MODELS.build(narrow(name))
    data = noise_batch(model.num_classes)
    loss, _ = model.parse_losses(losses_of(model, data))
    loss.backward()
    assert loss.isfinite()
    assert all(weight.grad is not None for weight in model.parameters())
    assert [labels.shape for labels in predictions_of(model, data)] == [(1, SIDE, SIDE)] * 2


@pytest.mark.parametrize("name", [*HEADS.values(), *OTHERS])
def test_both_heads_and_the_preprocessor_have_the_data_sets_values(name: str) -> None:
    cfg = config(name)
    model = cfg.model
    assert model.decode_head.num_classes == model.auxiliary_head.num_classes == cfg.num_classes
    assert model.data_preprocessor.size == cfg.crop_size
    assert model.data_preprocessor.mean == cfg.data_preprocessor.mean
    assert cfg.sync_bn == "torch" and cfg.log_processor.by_epoch is False
    last = cfg.param_scheduler[-1]
    assert last.end == cfg.train_cfg.max_iters and last.by_epoch is False
    assert cfg.default_hooks.checkpoint.interval == cfg.train_cfg.val_interval
    assert cfg.train_cfg.max_iters == 10 * cfg.train_cfg.val_interval
    assert cfg.default_hooks.checkpoint.by_epoch is False


@pytest.mark.parametrize("head", HEADS)
def test_a_ticket_goes_unchanged_into_a_dilated_network(head: str) -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    model = narrow(HEADS[head], attention=ATTENTION["SGE"], ticket="zoo:ean-sge-resnet50")
    backbone = MODELS.build(model.backbone).eval()
    assert backbone.ticket.id == ticket.id
    strides = [SIDE // x.shape[-1] for x in backbone(torch.zeros(1, 3, SIDE, SIDE))]
    assert strides == ([4, 8, 16, 32] if head == "UPerHead" else [4, 8, 8, 8])
    # Weights too: those of the classifier's network fit, name for name.
    plain = {**model.backbone, "strides": (1, 2, 2, 2), "dilations": (1, 1, 1, 1)}
    backbone.load_state_dict(MODELS.build(plain).state_dict())


def test_class_weights_reach_both_heads_and_ignored_pixels_count_nothing() -> None:
    model = MODELS.build(narrow("fcn_resnet50_d8_sge_camvid_weighted"))
    loader = config("fcn_resnet50_d8_sge_camvid_weighted").val_dataloader
    classes = loader.dataset.type.METAINFO["classes"]
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(2, len(classes), 4, 4, generator=generator)
    labels = torch.randint(0, len(classes), (2, 4, 4), generator=generator)
    labels[:, 0] = 255
    for head, factor in ((model.decode_head, 1.0), (model.auxiliary_head, 0.4)):
        weight = head.loss_decode.class_weight
        assert len(weight) == len(classes)
        assert classes[weight.index(max(weight))] == "Bicyclist"
        assert classes[weight.index(min(weight))] == "Road"
        loss = head.loss_decode(scores, labels, ignore_index=head.ignore_index)
        expected = cross_entropy(scores, labels, torch.tensor(weight), ignore_index=255)
        torch.testing.assert_close(loss, factor * expected)


def test_hard_example_mining_reaches_the_head_and_leaves_easy_pixels_out() -> None:
    model = MODELS.build(narrow("pspnet_resnet50_d8_dia_cityscapes_ohem"))
    sampler = model.decode_head.sampler
    assert isinstance(sampler, OHEMPixelSampler)
    assert (sampler.thresh, sampler.min_kept) == (0.7, 100_000)
    assert model.auxiliary_head.sampler is None
    sampler.min_kept = 2
    labels = torch.tensor([[[[0, 1, 2, 255]]]])
    scores = torch.zeros(1, model.num_classes, 1, 4)
    scores[0, 0, 0, 0] = 20.0  # sure and right; the others are undecided
    assert sampler.sample(scores, labels).tolist() == [[[0.0, 1.0, 1.0, 0.0]]]


def test_a_deep_stem_loads_a_deep_stems_weights_and_says_what_another_lacks(tmp_path: Path) -> None:
    name = "deeplabv3plus_resnet50v1c_d8_se_cityscapes"
    model, other = (MODELS.build(narrow(name)) for _ in range(2))
    assert find_backbone(model).deep_stem
    torch.save({"state_dict": other.state_dict()}, tmp_path / "deep.pth")
    report = load_backbone(model, tmp_path / "deep.pth")
    assert not report.missing and not report.left_over
    torch.testing.assert_close(model.backbone.stem.state_dict(), other.backbone.stem.state_dict())

    usual = MODELS.build(narrow(name, deep_stem=False))
    torch.save({"state_dict": usual.state_dict()}, tmp_path / "usual.pth")
    report = load_backbone(model, tmp_path / "usual.pth")
    assert {key.split(".")[0] for key in report.missing} == {"stem"}
    assert {key.split(".")[0] for key in report.left_over} == {"conv1", "bn1"}


def test_cityscapes_is_tested_in_overlapping_windows_of_the_training_crop() -> None:
    name = "deeplabv3plus_resnet50_d8_sge_cityscapes"
    window = config(name).model.test_cfg
    assert (window.mode, window.crop_size, window.stride) == ("slide", (512, 1024), (341, 683))
    cfg = narrow(name)
    cfg.test_cfg.update(crop_size=(16, 32), stride=(11, 21))
    model = MODELS.build(cfg)
    shapes = []
    model.backbone.register_forward_hook(lambda _, inputs, __: shapes.append(inputs[0].shape[2:]))
    data = {key: values[:1] for key, values in noise_batch(19, 32, 64).items()}
    (labels,) = predictions_of(model, data)
    assert labels.shape == (1, 32, 64)
    # Rows from 0, 11 and 16, columns from 0, 21 and 32: the last windows end with the image.
    assert shapes == [(16, 32)] * 9


# -- heads that need compiled operators ------------------------------------------------------------

without_operators = pytest.mark.skipif(
    find_spec("mmcv._ext") is not None, reason="mmcv has its compiled operators"
)


@without_operators
@pytest.mark.parametrize(
    ("head", "options", "operator"),
    [
        (CCHead, {}, "CrissCrossAttention"),
        (PSAHead, {"mask_size": (8, 8)}, "PSAMask"),
        (PointHead, {"in_channels": [64], "in_index": [0]}, "point_sample"),
    ],
)
def test_a_config_whose_head_lacks_its_operator_ends_in_one_line(
    tmp_path: Path, head: type, options: dict[str, Any], operator: str
) -> None:
    cfg = load_config(CONFIGS / "segmentation/toy.py")
    common = {"in_channels": 64, "in_index": 3, "channels": 16, "num_classes": 4}
    cfg.model.decode_head = {**common, **options, "type": head}
    cfg.log_level = "WARNING"
    with pytest.raises(ConfigError, match=rf"toy\.py: .*onedl-mmcv for {operator} ops") as error:
        build_runner(cfg, tmp_path)
    assert "\n" not in str(error.value)


@without_operators
def test_the_focal_loss_needs_an_operator_on_a_gpu_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    FocalLoss()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    with pytest.raises(RuntimeError, match="install onedl-mmcv for sigmoid_focal_loss ops"):
        FocalLoss()
