"""Small networks of each family, and attention with known values, for the tests of attachment."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt
from torchvision.models.efficientnet import EfficientNet, FusedMBConvConfig, MBConvConfig
from torchvision.models.mobilenetv2 import MobileNetV2
from torchvision.models.mobilenetv3 import InvertedResidualConfig, MobileNetV3
from torchvision.models.regnet import BlockParams, RegNet
from torchvision.models.resnet import BasicBlock

from ean_transfer import Ticket, blocks_of
from ean_transfer.attention import Attention, ChannelAttention

SE = {"type": "SE", "reduction": 2}
DIA = {"type": "DIA", "reduction": 4}


class Quarter(ChannelAttention):
    """Can start as the constant 1/4."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.gate = nn.Linear(channels, channels)

    def weights(self, pooled: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return torch.sigmoid(self.gate(pooled)), state

    def init_constant(self) -> float:
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.bias, torch.logit(torch.tensor(0.25)).item())
        return 0.25


class Negation(Attention):
    """Cannot start as a constant."""

    def __init__(self, channels: int) -> None:
        super().__init__()

    def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        return -x, state


class Plain(nn.Module):
    """Three and two of torchvision's basic blocks, of 8 and 16 channels."""

    def __init__(self) -> None:
        super().__init__()
        shortcut = nn.Sequential(nn.Conv2d(8, 16, 1, 2, bias=False), nn.BatchNorm2d(16))
        self.conv1 = nn.Conv2d(3, 8, 3)
        self.layer1 = nn.Sequential(BasicBlock(8, 8), BasicBlock(8, 8), BasicBlock(8, 8))
        self.layer2 = nn.Sequential(BasicBlock(8, 16, 2, shortcut), BasicBlock(16, 16))

    def forward(self, x: Tensor) -> Tensor:
        return self.layer2(self.layer1(self.conv1(x)))


def _mobilenet_v3() -> nn.Module:
    rows = [(8, 3, 16, 8, False, "RE", 1, 1), (8, 3, 16, 16, True, "HS", 2, 1)]
    rows += [(16, 3, 32, 16, True, "HS", 1, 1)] * 2
    return MobileNetV3([InvertedResidualConfig(*row, 1.0) for row in rows], 32, num_classes=5)


# Small members of each family, quick enough to run.
SMALL: dict[str, Callable[[], nn.Module]] = {
    "resnet": Plain,
    "regnet": lambda: RegNet(
        BlockParams([2, 1], [8, 16], [4, 4], [1.0, 1.0], [2, 2], se_ratio=0.25), 5, stem_width=8
    ),
    "mobilenet_v2": lambda: MobileNetV2(5, 0.25, [[1, 32, 1, 1], [6, 64, 3, 2]]),
    "mobilenet_v3": _mobilenet_v3,
    "efficientnet": lambda: EfficientNet(
        [
            FusedMBConvConfig(1, 3, 1, 8, 8, 2),
            FusedMBConvConfig(2, 3, 2, 8, 16, 1),
            MBConvConfig(2, 3, 1, 16, 16, 2),
        ],
        dropout=0.0,
        num_classes=5,
    ),
    "convnext": lambda: ConvNeXt(
        [CNBlockConfig(8, 16, 2), CNBlockConfig(16, None, 1)], layer_scale=0.5, num_classes=5
    ),
}
STAGES = {
    "resnet": [3, 2],
    "regnet": [2, 1],
    "mobilenet_v2": [1, 2],
    "mobilenet_v3": [1, 2],
    "efficientnet": [2, 2],
    "convnext": [2, 1],
}
X = torch.randn(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(family: str = "resnet", seed: int = 0) -> nn.Module:
    """A network whose normalisations scale and shift, as trained ones do."""
    torch.manual_seed(seed)
    model = SMALL[family]()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    return model.eval()


def toy(bits: str, attention: str = "SE", **fields: Any) -> Ticket:
    return Ticket.from_bits(bits, "toy", attention, blocks=[*map(len, bits.split())], **fields)


def sizes(model: nn.Module) -> list[int]:
    stages = [block.stage for block in blocks_of(model)]
    return [stages.count(stage) for stage in sorted(set(stages))]
