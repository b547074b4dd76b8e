"""How much faster masks are scored together than one at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import torch
from mmpretrain.models import GlobalAveragePooling, ImageClassifier, LinearClsHead
from torch import Tensor, nn

from ean_transfer.backbones import TicketResNet, TicketResNetCIFAR
from ean_transfer.supernet.evaluation import batch_statistics
from ean_transfer.supernet.tree import forward_masks
from ean_transfer.ticket.mask import Mask, all_masks, random_mask


@dataclass(frozen=True)
class ScoringCase:
    """Masks of one network and what their scoring took.

    Attributes:
        name: What was scored.
        masks: How many masks.
        together: Seconds, the median over the repeats, walking the masks' tree.
        alone: The same, one forward a mask.
        ratio: Median over the repeats of ``alone / together``.
        equal: Whether both counted the same right answers for every mask.
    """

    name: str
    masks: int
    together: float
    alone: float
    ratio: float
    equal: bool


def scoring_cases(repeats: int = 3) -> list[ScoringCase]:
    """Time the cases, the two ways taking turns in one process, on one batch of random images.

    Both ways run channels-last in inference mode with batch statistics.
    """
    few, many = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    small = torch.randn(50, 3, 32, 32, generator=few)
    large = torch.randn(4, 3, 224, 224, generator=many)
    resnet20 = _classifier(TicketResNetCIFAR(20, dict(type="SE", reduction=4)), 64)
    resnet50 = _classifier(TicketResNet(50, "SE"), 2048)
    everything = all_masks(9)
    some = list(dict.fromkeys(random_mask(16, 0, index) for index in range(32)))
    full = (True,) * 16
    return [
        _compare("ResNet-20, all 512 masks", resnet20, small, everything, repeats),
        _compare("ResNet-20, one mask", resnet20, small, everything[-1:], 20 * repeats),
        _compare("ResNet-50, 32 random masks", resnet50, large, some, repeats),
        _compare("ResNet-50, one mask", resnet50, large, [full], 5 * repeats),
    ]


def _classifier(backbone: nn.Module, channels: int) -> ImageClassifier:
    model = ImageClassifier(
        backbone=backbone,
        neck=dict(type=GlobalAveragePooling),
        head=dict(type=LinearClsHead, num_classes=10, in_channels=channels),
    )
    return model.to(memory_format=torch.channels_last).eval()


@torch.inference_mode()
def _compare(
    name: str, model: ImageClassifier, images: Tensor, masks: Sequence[Mask], repeats: int
) -> ScoringCase:
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.arange(len(images), device=images.device) % 10

    def right(logits: Tensor) -> int:
        return int((logits.argmax(dim=1) == labels).sum())

    def together() -> dict[Mask, int]:
        return {
            mask: right(model.head(model.neck(features)))
            for group, features in forward_masks(model.backbone, images, masks)
            for mask in group
        }

    def alone() -> dict[Mask, int]:
        counts = {}
        for mask in masks:
            model.backbone.set_mask(mask)
            counts[mask] = right(model(images, mode="tensor"))
        return counts

    layers = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    with batch_statistics(layers):
        equal = together() == alone()  # also warms both up
        times: list[tuple[float, float]] = []
        for number in range(repeats):
            if number % 2:
                second, first = _seconds(alone), _seconds(together)
            else:
                first, second = _seconds(together), _seconds(alone)
            times.append((first, second))
    return ScoringCase(
        name=name,
        masks=len(masks),
        together=median(t for t, _ in times),
        alone=median(a for _, a in times),
        ratio=median(a / t for t, a in times),
        equal=equal,
    )


def _seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start
