"""How well cheap scores rank masks, compared with training them from scratch."""

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

from benchmarks.ground_truth import GroundTruth, require_same_network, sampled_masks
from ean_transfer.classification import ClassificationScorer
from ean_transfer.engine.weights import load_model
from ean_transfer.search.strategies.posterior import Posterior
from ean_transfer.search.worth import worth_of_connections
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.ticket.mask import Mask, mask_of

SCORED = 64
"""Number of masks whose scores are known to :func:`from_scored_masks`."""


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


def without_a_network(masks: Sequence[Mask]) -> dict[str, np.ndarray]:
    """What can be said of masks at no cost: (masks,) for each rule, higher is better."""
    bits = np.array(masks, dtype=float)
    middle = np.arange(bits.shape[1]) - (bits.shape[1] - 1) / 2
    return {"number of connections": bits.sum(axis=1), "later is better": bits @ middle}


def from_scored_masks(
    masks: Sequence[Mask], scored: Sequence[Mask], rewards: Sequence[float]
) -> dict[str, np.ndarray]:
    """What a search's model of the masks that it scored says of others, higher is better.

    Args:
        masks: The masks to say something of.
        scored: Masks whose rewards are known.
        rewards: Their rewards.

    Returns:
        (masks,) for the model's prediction, in a unit of its own, and for the sum of the
        connections' Shapley values, in that of the rewards.
    """
    bits = np.array(masks, dtype=float)
    posterior = Posterior(np.where(np.array(scored), 1.0, -1.0), np.array(rewards))
    worths = np.array([one.value for one in worth_of_connections(scored, rewards)])
    return {
        f"pairwise model of {len(scored)} masks": posterior.mean(2.0 * bits - 1.0),
        f"Shapley values of {len(scored)} masks, summed": bits @ worths,
    }


def proxies(
    cfg: Config,
    supernets: Mapping[str, Sequence[str]],
    truth: GroundTruth,
    *,
    bn: Sequence[str] = BN_STATISTICS,
) -> Iterator[Proxy]:
    """Judge what needs no network, and supernets with every kind of statistics.

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
    for name, values in without_a_network(masks).items():
        yield judged(name, values, truth)
    for name, checkpoints in supernets.items():
        for kind in bn:
            every = [_values(cfg, checkpoint, masks, kind) for checkpoint in checkpoints]
            for score in every[0]:
                rows = np.array([one[score] for one in every])
                label = f"{name}, {kind}, {score}"
                alone = [judged(label, row, truth) for row in rows]
                yield replace(
                    alone[0],
                    tau=float(np.mean([proxy.tau for proxy in alone])),
                    tau_half=float(np.mean([proxy.tau_half for proxy in alone])),
                    top=float(np.mean([proxy.top for proxy in alone])),
                )
                if len(checkpoints) > 1:
                    yield judged(f"{len(checkpoints)} x {label}", rows.mean(axis=0), truth)


def _values(cfg: Config, checkpoint: str, masks: Sequence[Mask], bn: str) -> dict[str, np.ndarray]:
    """What a supernet says of masks: (masks,) for each kind of score, higher is better."""
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    load_model(model, checkpoint)
    held_out = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    evaluator = MaskEvaluator(model, held_out, ClassificationScorer(), bn)
    num_blocks = len(masks[0])
    scored = sampled_masks(num_blocks, min(SCORED, 2**num_blocks))
    every = list(dict.fromkeys([*masks, *scored]))
    scores = dict(zip(every, evaluator.scores(every), strict=True))
    rewards = [-scores[mask].loss for mask in scored]
    values = {
        "accuracy": np.array([scores[mask].metric for mask in masks]),
        "loss": np.array([-scores[mask].loss for mask in masks]),
        **from_scored_masks(masks, scored, rewards),
    }
    if bn != "recalibrated":  # which the importance takes for "batch"
        importance = np.array(evaluator.importance())
        values["Taylor importance, summed"] = np.array(masks, dtype=float) @ importance
    return values
