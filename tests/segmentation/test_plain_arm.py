"""The arm without attention is mmseg's own network: same weights, same losses, same predictions."""

from __future__ import annotations

from typing import Any

import mmpretrain.models
import mmseg.models
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.registry import MODELS
from mmseg.models import (
    ASPPHead,
    DepthwiseSeparableASPPHead,
    EncoderDecoder,
    FCNHead,
    PSPHead,
    SegDataPreProcessor,
    UPerHead,
)
from torch import nn

from ean_transfer.backbones import TicketResNet
from tests.segmentation.helpers import noise_batch

CLASSES, ITERATIONS = 4, 3
ASPP = dict(dilations=(1, 12, 24, 36))
SCALES = dict(pool_scales=(1, 2, 3, 6))
HEADS: dict[str, dict[str, Any]] = {
    "FCN": dict(type=FCNHead, num_convs=2),
    "PSPNet": dict(type=PSPHead, **SCALES),
    "DeepLabV3": dict(type=ASPPHead, **ASPP),
    "DeepLabV3+": dict(type=DepthwiseSeparableASPPHead, c1_in_channels=32, c1_channels=4, **ASPP),
    "UPerNet": dict(type=UPerHead, in_channels=[32, 64, 128, 256], in_index=[0, 1, 2, 3], **SCALES),
}
NONE = dict(type=TicketResNet, attention="SE", ticket="none")


def segmentor(backbone: dict[str, Any], head: dict[str, Any]) -> nn.Module:
    """A segmentor with an auxiliary head on an eighth of a ResNet-50, output stride 8."""
    thin = dict(depth=50, base_channels=8, stem_channels=8, out_indices=(0, 1, 2, 3))
    dilated = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4))
    common = dict(
        channels=8,
        num_classes=CLASSES,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type=mmseg.models.CrossEntropyLoss, avg_non_ignore=True),
    )
    fcn = dict(type=FCNHead, in_channels=128, in_index=2, num_convs=1, concat_input=False)
    normalised = dict(mean=[128.0] * 3, std=[64.0] * 3, size=(32, 32))
    return MODELS.build(
        dict(
            type=EncoderDecoder,
            data_preprocessor=dict(type=SegDataPreProcessor, **normalised),
            backbone={**thin, **dilated, **backbone},
            decode_head={"in_channels": 256, "in_index": 3, **common, **head},
            auxiliary_head={**common, **fcn},
            test_cfg=ConfigDict(mode="whole"),
        )
    )


def trained_losses(model: nn.Module) -> list[dict[str, float]]:
    """Every loss of some iterations of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    model.train()
    history = []
    for iteration in range(ITERATIONS):
        torch.manual_seed(iteration)  # of dropout
        batch = model.data_preprocessor(noise_batch(CLASSES, seed=iteration), training=True)
        total, values = model.parse_losses(model(**batch, mode="loss"))
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append({name: value.item() for name, value in values.items()})
    return history


@pytest.mark.parametrize("library", [mmpretrain, mmseg], ids=lambda library: library.__name__)
@pytest.mark.parametrize("head", HEADS)
def test_ticket_none_trains_as_the_plain_resnet_of(library: Any, head: str) -> None:
    torch.manual_seed(0)
    ours = segmentor(NONE, HEADS[head])
    ours.init_weights()
    torch.manual_seed(1)  # other weights at first, so that loading is what makes them equal
    plain = segmentor(dict(type=library.models.ResNet), HEADS[head])
    assert list(plain.state_dict()) == list(ours.state_dict())
    plain.load_state_dict(ours.state_dict())

    expected, losses = trained_losses(plain), trained_losses(ours)
    for iteration in range(ITERATIONS):
        assert losses[iteration] == pytest.approx(expected[iteration], rel=1e-6)
    assert expected[0] != expected[-1]
    torch.testing.assert_close(ours.state_dict(), plain.state_dict())
    batch = noise_batch(CLASSES, seed=ITERATIONS)
    for mine, theirs in zip(
        ours.eval().test_step(batch), plain.eval().test_step(batch), strict=True
    ):
        assert torch.equal(mine.pred_sem_seg.data, theirs.pred_sem_seg.data)


def test_same_seed_gives_the_plain_resnets_weights() -> None:
    models = []
    for backbone in (NONE, dict(type=TicketResNet), dict(type=mmpretrain.models.ResNet)):
        torch.manual_seed(0)
        models.append(segmentor(backbone, HEADS["FCN"]))
        models[-1].init_weights()
    for model in models[:2]:
        torch.testing.assert_close(model.state_dict(), models[2].state_dict(), rtol=0, atol=0)
