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

CLASSES, ITERATIONS = 4, 5
HEADS: dict[str, dict[str, Any]] = {
    "FCN": {"type": FCNHead, "num_convs": 2},
    "PSPNet": {"type": PSPHead, "pool_scales": (1, 2, 3, 6)},
    "DeepLabV3": {"type": ASPPHead, "dilations": (1, 12, 24, 36)},
    "DeepLabV3+": {
        "type": DepthwiseSeparableASPPHead,
        "dilations": (1, 12, 24, 36),
        "c1_in_channels": 32,
        "c1_channels": 4,
    },
    "UPerNet": {
        "type": UPerHead,
        "in_channels": [32, 64, 128, 256],
        "in_index": [0, 1, 2, 3],
        "pool_scales": (1, 2, 3, 6),
    },
}


def segmentor(backbone: dict[str, Any], head: dict[str, Any]) -> nn.Module:
    """A segmentor with an auxiliary head on an eighth of a ResNet-50, output stride 8."""
    common = {
        "num_classes": CLASSES,
        "norm_cfg": {"type": "BN"},
        "align_corners": False,
        "loss_decode": {"type": mmseg.models.CrossEntropyLoss, "avg_non_ignore": True},
    }
    return MODELS.build(
        {
            "type": EncoderDecoder,
            "data_preprocessor": {
                "type": SegDataPreProcessor,
                "mean": [128.0] * 3,
                "std": [64.0] * 3,
                "size": (32, 32),
            },
            "backbone": {
                "depth": 50,
                "base_channels": 8,
                "stem_channels": 8,
                "out_indices": (0, 1, 2, 3),
                "strides": (1, 2, 1, 1),
                "dilations": (1, 1, 2, 4),
                **backbone,
            },
            "decode_head": {"in_channels": 256, "in_index": 3, "channels": 8, **common, **head},
            "auxiliary_head": {
                "type": FCNHead,
                "in_channels": 128,
                "in_index": 2,
                "channels": 8,
                "num_convs": 1,
                "concat_input": False,
                **common,
            },
            "test_cfg": ConfigDict(mode="whole"),
        }
    )


def trained_losses(model: nn.Module) -> list[dict[str, float]]:
    """Every loss of some iterations of SGD."""
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=5e-4)
    model.train()
    history = []
    for iteration in range(ITERATIONS):
        torch.manual_seed(iteration)  # of dropout
        losses = model(
            **model.data_preprocessor(noise_batch(CLASSES, seed=iteration), training=True),
            mode="loss",
        )
        total, values = model.parse_losses(losses)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        history.append({name: value.item() for name, value in values.items()})
    return history


@pytest.mark.parametrize("library", [mmpretrain, mmseg], ids=lambda library: library.__name__)
@pytest.mark.parametrize("head", HEADS)
def test_ticket_none_trains_as_the_plain_resnet_of(library: Any, head: str) -> None:
    torch.manual_seed(0)
    ours = segmentor({"type": TicketResNet, "attention": "SE", "ticket": "none"}, HEADS[head])
    ours.init_weights()
    torch.manual_seed(1)  # other weights at first, so that loading is what makes them equal
    plain = segmentor({"type": library.models.ResNet}, HEADS[head])
    assert list(plain.state_dict()) == list(ours.state_dict())
    plain.load_state_dict(ours.state_dict())

    expected, losses = trained_losses(plain), trained_losses(ours)
    for iteration in range(ITERATIONS):
        assert losses[iteration] == pytest.approx(expected[iteration], rel=1e-6)
    assert expected[0] != expected[-1]
    torch.testing.assert_close(ours.state_dict(), plain.state_dict())
    labels = [
        torch.stack(
            [out.pred_sem_seg.data for out in model.eval().test_step(noise_batch(CLASSES, seed=99))]
        )
        for model in (ours, plain)
    ]
    assert torch.equal(*labels)


def test_same_seed_gives_the_plain_resnets_weights() -> None:
    models = []
    for backbone in (
        {"type": TicketResNet, "attention": "SE", "ticket": "none"},
        {"type": TicketResNet},
        {"type": mmpretrain.models.ResNet},
    ):
        torch.manual_seed(0)
        models.append(segmentor(backbone, HEADS["FCN"]))
        models[-1].init_weights()
    for model in models[:2]:
        torch.testing.assert_close(model.state_dict(), models[2].state_dict(), rtol=0, atol=0)
