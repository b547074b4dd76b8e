"""That folded attention costs nothing: forward times against the plain network's."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ean_transfer.analysis.latency import TimeIncrement, time_increments
from ean_transfer.asr import fold
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones import build_backbone


@dataclass(frozen=True)
class FoldingTime:
    """One network's size and time.

    Attributes:
        parameters: Of the whole backbone, without a head.
        time: Its forward's increment over the plain network's.
    """

    parameters: int
    time: TimeIncrement


def folding_increments(
    backbone: str,
    attention: AttentionSpec,
    image_size: int,
    batch_size: int,
    rounds: int,
    seed: int = 0,
) -> dict[str, FoldingTime]:
    """Times of the plain network, of attention, of it re-parameterised, and of that folded.

    Another plain network is measured as the others are: how far it is from 1 says how far the
    measurement can be trusted.

    Args:
        backbone: A name, e.g. ``resnet50``.
        attention: What to connect, to every block.
        image_size: Side of the images in pixels.
        batch_size: Images of a forward.
        rounds: How often each network runs.
        seed: Of the weights and images.

    Raises:
        ConfigError: For an unknown backbone or attention, or one that cannot be folded.
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
    times = time_increments(networks, x, baseline="plain", rounds=rounds)
    return {
        name: FoldingTime(sum(p.numel() for p in network.parameters()), times[name])
        for name, network in networks.items()
    }
