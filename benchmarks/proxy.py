"""How well a supernet's cheap scores rank masks, compared with training them from scratch."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner
from scipy.stats import kendalltau

from benchmarks.ground_truth import GroundTruth, require_same_network
from ean_transfer.classification import ClassificationScorer
from ean_transfer.engine.weights import load_model
from ean_transfer.supernet import MaskEvaluator, Score
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.ticket.mask import Mask, mask_of

QUALITIES = ("accuracy", "loss")


@dataclass(frozen=True)
class Proxy:
    """One way to score masks, and how it ranks them.

    Attributes:
        name: Supernets, statistics and quality.
        tau: Kendall's tau-b against the ground truth's mean over all seeds.
        tau_half: The same against means over half of the seeds, averaged over the halves, which
            can be compared with :func:`split_half`.
        top: Mean ground truth accuracy of the proxy's best tenth of the masks, and of those that
            tie with it.
        values: (masks,) the proxy's score of each of the ground truth's masks, higher is better.
    """

    name: str
    tau: float
    tau_half: float
    top: float
    values: np.ndarray


def kendall(a: np.ndarray, b: np.ndarray) -> float:
    """Kendall's tau-b; 0 if one of the two does not tell the masks apart at all."""
    tau = float(kendalltau(a, b).statistic)
    return 0.0 if np.isnan(tau) else tau


def _halves(truth: GroundTruth) -> list[tuple[tuple[int, ...], tuple[int, ...]]]:
    """All ways to choose two halves of the seeds; an odd seed is left out in turn."""
    half = len(truth.seeds) // 2
    return [
        (first, second)
        for first in itertools.combinations(truth.seeds, half)
        for second in itertools.combinations(sorted(set(truth.seeds) - set(first)), half)
        if first < second
    ]


def split_half(truth: GroundTruth) -> float | None:
    """The ground truth's reliability: tau between its means over two halves of its seeds.

    It is averaged over all ways to choose the halves; ``None`` with a single seed.
    """
    taus = [kendall(truth.values(one), truth.values(other)) for one, other in _halves(truth)]
    return float(np.mean(taus)) if taus else None


def judged(name: str, values: np.ndarray, truth: GroundTruth) -> Proxy:
    """A proxy's values with their agreement with the ground truth."""
    expected = truth.values()
    cutoff = np.sort(values)[-max(1, len(values) // 10)]
    parts = [seeds for pair in _halves(truth) for seeds in pair] or [tuple(truth.seeds)]
    return Proxy(
        name,
        tau=kendall(values, expected),
        tau_half=float(np.mean([kendall(values, truth.values(seeds)) for seeds in parts])),
        top=float(expected[values >= cutoff].mean()),
        values=values,
    )


def proxies(
    cfg: Config,
    supernets: Mapping[str, Sequence[str]],
    truth: GroundTruth,
    *,
    bn: Sequence[str] = BN_STATISTICS,
) -> Iterator[Proxy]:
    """Judge supernets, each with every kind of statistics and both qualities.

    Args:
        cfg: The supernets' config: ``val_dataloader`` has the held-out images.
        supernets: Checkpoints by the name of their kind, one per seed. Each is judged alone, and
            the mean tau is reported; with several, their averaged scores are judged as well.
        truth: The ground truth.
        bn: Kinds of BatchNorm statistics.

    Raises:
        ConfigError: The ground truth is of another network than the config's.
    """
    require_same_network(truth, cfg)
    masks = [mask_of(bits) for bits in truth.masks]
    for name, checkpoints in supernets.items():
        for kind in bn:
            scores = [_scores(cfg, checkpoint, masks, kind) for checkpoint in checkpoints]
            for quality in QUALITIES:
                values = np.array([[_quality(s, quality) for s in row] for row in scores])
                label = f"{name}, {kind}, {quality}"
                alone = [judged(label, row, truth) for row in values]
                yield replace(
                    alone[0],
                    tau=float(np.mean([proxy.tau for proxy in alone])),
                    tau_half=float(np.mean([proxy.tau_half for proxy in alone])),
                    top=float(np.mean([proxy.top for proxy in alone])),
                )
                if len(checkpoints) > 1:
                    yield judged(f"{len(checkpoints)} x {label}", values.mean(axis=0), truth)


def _quality(score: Score, quality: str) -> float:
    return score.metric if quality == "accuracy" else -100.0 * score.loss


def _scores(cfg: Config, checkpoint: str, masks: Sequence[Mask], bn: str) -> list[Score]:
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    load_model(model, checkpoint)
    held_out = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    return MaskEvaluator(model, held_out, ClassificationScorer(), bn).scores(masks)
