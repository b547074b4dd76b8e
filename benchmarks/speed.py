"""Seconds of what should be fast: scoring masks together, density maps, folded networks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

import numpy as np
import numpy.typing as npt
import torch
from mmpretrain.models import GlobalAveragePooling, ImageClassifier, LinearClsHead
from torch import Tensor, nn

from ean_transfer.analysis.latency import Latency, clock, compare_latencies
from ean_transfer.asr import fold
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones import TicketResNet, TicketResNetCIFAR, build_backbone
from ean_transfer.crowd_counting.density import density_map
from ean_transfer.supernet.statistics import batch_statistics
from ean_transfer.supernet.tree import forward_masks
from ean_transfer.ticket.mask import Mask, all_masks, random_mask

# -- scoring -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ScoringTime:
    """How long the masks of one network take to score.

    Attributes:
        name: Network and masks.
        together: Median seconds of one pass over the tree of masks.
        alone: Median seconds of one forward per mask.
        ratio: Median of ``alone / together`` over the rounds.
        equal: Whether both ways count the same right answers for every mask.
    """

    name: str
    together: float
    alone: float
    ratio: float
    equal: bool


def scoring_times(rounds: int = 3) -> list[ScoringTime]:
    """Time both ways of scoring, each on one batch of random images, channels-last.

    Args:
        rounds: Rounds of the case with the most work; the others have more.
    """
    few, many = (torch.Generator().manual_seed(seed) for seed in (0, 1))
    small = torch.randn(50, 3, 32, 32, generator=few)
    large = torch.randn(4, 3, 224, 224, generator=many)
    resnet20 = classifier_of(TicketResNetCIFAR(20, dict(type="SE", reduction=4)), 64)
    resnet50 = classifier_of(TicketResNet(50, "SE"), 2048)
    random_masks = list(dict.fromkeys(random_mask(16, 0, index) for index in range(32)))
    full = (True,) * 16
    return [
        scoring_time("ResNet-20, all 512 masks", resnet20, small, all_masks(9), rounds),
        scoring_time("ResNet-20, one mask", resnet20, small, [full[:9]], 20 * rounds),
        scoring_time("ResNet-50, 32 random masks", resnet50, large, random_masks, rounds),
        scoring_time("ResNet-50, one mask", resnet50, large, [full], 5 * rounds),
    ]


def classifier_of(backbone: nn.Module, channels: int) -> ImageClassifier:
    """A classifier of 10 classes on a backbone whose last stage has ``channels``."""
    model = ImageClassifier(
        backbone=backbone,
        neck=dict(type=GlobalAveragePooling),
        head=dict(type=LinearClsHead, num_classes=10, in_channels=channels),
    )
    return model.to(memory_format=torch.channels_last).eval()


class _Alone(nn.Module):
    """Counts each mask's right answers in a forward of its own."""

    def __init__(self, model: ImageClassifier, masks: Sequence[Mask]) -> None:
        super().__init__()
        self.model, self.masks = model, masks

    def forward(self, images: Tensor) -> dict[Mask, int]:
        # Entered here, since the stopwatch puts the modules in eval mode, which would undo it.
        with batch_statistics(self.model):
            return self.counts(images)

    def counts(self, images: Tensor) -> dict[Mask, int]:
        counts = {}
        for mask in self.masks:
            self.model.backbone.set_mask(mask)
            counts[mask] = self.right(self.model(images, mode="tensor"))
        return counts

    @staticmethod
    def right(logits: Tensor) -> int:
        """The number of images whose largest logit is that of a made-up label."""
        labels = torch.arange(len(logits), device=logits.device) % 10
        return int((logits.argmax(dim=1) == labels).sum())


class _Together(_Alone):
    """Counts them in one pass over the tree of masks, which share their first blocks."""

    def counts(self, images: Tensor) -> dict[Mask, int]:
        return {
            mask: self.right(self.model.head(self.model.neck(features)))
            for group, features in forward_masks(self.model.backbone, images, self.masks)
            for mask in group
        }


@torch.inference_mode()
def scoring_time(
    name: str, model: ImageClassifier, images: Tensor, masks: Sequence[Mask], rounds: int
) -> ScoringTime:
    """Time both ways of scoring masks on a batch of images, taking turns in one process."""
    images = images.contiguous(memory_format=torch.channels_last)
    ways = {"together": _Together(model, masks), "alone": _Alone(model, masks)}
    equal = ways["together"](images) == ways["alone"](images)  # warms both up as well
    times = compare_latencies(ways, images, plain="together", rounds=rounds, warm_up=0)
    return ScoringTime(
        name,
        together=times["together"].ms / 1000.0,
        alone=times["alone"].ms / 1000.0,
        ratio=1.0 + times["alone"].over_plain,
        equal=equal,
    )


# -- density maps --------------------------------------------------------------------------------

IMAGE_SIZE = (4000, 6000)  # (H, W) pixels; with this crowd, about the most that UCF-QNRF asks for
CROWD = 12_000


def crowds(
    image_size: tuple[int, int] = IMAGE_SIZE, count: int = CROWD
) -> dict[str, npt.NDArray[np.float64]]:
    """Points (N, 2) spread evenly, and points in groups of all widths that thin out."""
    generator = np.random.default_rng(0)
    size = np.array(image_size[::-1])
    even = generator.uniform((0, 0), size, (count, 2))
    centres = generator.uniform((0, 0), size, (20, 2))
    widths = generator.uniform(0.001, 0.05, 20) * size.max()
    group = generator.integers(20, size=count)
    spread = generator.normal(size=(count, 2)) * widths[group, None]
    return {"even": even, "grouped": np.clip(centres[group] + spread, 0, size)}


def density_seconds(
    image_size: tuple[int, int] = IMAGE_SIZE, count: int = CROWD, repeats: int = 5
) -> dict[str, float]:
    """Median seconds per map for each crowd, stride and sigma."""
    cpu = torch.device("cpu")
    seconds = {}
    for name, points in crowds(image_size, count).items():
        for stride in (8, 1):
            for sigma in (4.0, 15.0, "adaptive"):
                times = []
                for _ in range(repeats):
                    start = clock(cpu)
                    density_map(points, image_size, stride, sigma)
                    times.append(clock(cpu) - start)
                seconds[f"{name} crowd, stride {stride}, sigma {sigma}"] = median(times)
    return seconds


# -- folded networks -----------------------------------------------------------------------------


@dataclass(frozen=True)
class FoldingTime:
    """Size and time of one network.

    Attributes:
        parameters: Parameters of the whole backbone, without a head.
        time: Time of a forward, alone and over the plain network's.
    """

    parameters: int
    time: Latency


def folding_times(
    backbone: str,
    attention: AttentionSpec,
    image_size: int,
    batch_size: int,
    rounds: int,
    seed: int = 0,
) -> dict[str, FoldingTime]:
    """Time the plain network, attention, re-parameterised attention, and that folded.

    A second plain network is measured like the others: its distance from 1 shows how far the
    measurement can be trusted.

    Args:
        backbone: Name of the backbone, e.g. ``resnet50``.
        attention: Attention that is connected to every block.
        image_size: Side of the images in pixels.
        batch_size: Images per forward.
        rounds: Forwards of each network, at least 2.
        seed: Seed of the weights and images.

    Raises:
        ConfigError: The backbone or the attention is unknown, or it cannot be folded.
    """
    torch.manual_seed(seed)
    reparameterised = build_backbone(backbone, attention, asr=True)
    networks = {
        "plain": build_backbone(backbone),
        "plain, another": build_backbone(backbone),
        "attention": build_backbone(backbone, attention),
        "ASR, not folded": reparameterised,
        "ASR, folded": fold(reparameterised),
    }
    x = torch.randn(batch_size, 3, image_size, image_size)
    times = compare_latencies(networks, x, plain="plain", rounds=rounds)
    return {
        name: FoldingTime(sum(p.numel() for p in network.parameters()), times[name])
        for name, network in networks.items()
    }
