"""How well cheap scores of masks rank them as training from scratch does."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner, set_random_seed
from scipy.stats import kendalltau
from torch.utils.data import DataLoader

from benchmarks.ground_truth import GroundTruth, require_same_network
from ean_transfer.engine.weights import load_model
from ean_transfer.supernet import Mask, MaskEvaluator, Score, find_backbone
from ean_transfer.supernet.evaluation import BN_STATISTICS
from ean_transfer.ticket.mask import mask_of

QUALITIES = ("accuracy", "loss")


@dataclass(frozen=True)
class Proxy:
    """A way to score masks, and how it ranks them.

    Attributes:
        name: Supernets, statistics and quality.
        tau: Kendall's tau-b against the ground truth's mean over all seeds.
        tau_half: The same against means over half of the seeds, averaged over the halves: what
            compares with :func:`split_half`.
        top: Mean ground truth accuracy of the proxy's best tenth of the masks, and of those that
            tie with it.
        values: Of each of the ground truth's masks, higher is better.
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


def split_half(truth: GroundTruth) -> float:
    """The ground truth's reliability: tau between its means over two halves of its seeds.

    Raises:
        ValueError: With less than two seeds.
    """
    if len(truth.seeds) < 2:
        raise ValueError("a split needs two seeds")
    taus = [kendall(truth.values(one), truth.values(other)) for one, other in _halves(truth)]
    return float(np.mean(taus))


def judged(name: str, values: np.ndarray, truth: GroundTruth) -> Proxy:
    """A proxy with its agreement with the ground truth."""
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
    fine_tune: int = 0,
) -> Iterator[Proxy]:
    """Judge supernets, each with every kind of statistics and both qualities.

    Args:
        cfg: The supernets' config: ``val_dataloader`` has the held-out images.
        supernets: Name -> checkpoints of that kind, of different seeds. Each is judged alone, and
            the tau reported is their mean; with several, so are their averaged scores.
        truth: The ground truth.
        bn: Kinds of BatchNorm statistics.
        fine_tune: Also judge each mask after so many iterations of training the supernet on it.

    Raises:
        ConfigError: The ground truth is of another network than the config's.
    """
    require_same_network(truth, cfg)
    masks = [mask_of(bits) for bits in truth.masks]
    for name, files in supernets.items():
        kinds = [*bn, *([f"fine-tuned {fine_tune}"] if fine_tune else [])]
        for kind in kinds:
            found = [_scores(cfg, file, masks, kind, fine_tune) for file in files]
            for quality in QUALITIES:
                values = np.array([[_quality(s, quality) for s in scores] for scores in found])
                label = f"{name}, {kind}, {quality}"
                alone = [judged(label, row, truth) for row in values]
                yield Proxy(
                    label,
                    tau=float(np.mean([proxy.tau for proxy in alone])),
                    tau_half=float(np.mean([proxy.tau_half for proxy in alone])),
                    top=float(np.mean([proxy.top for proxy in alone])),
                    values=values[0],
                )
                if len(files) > 1:
                    yield judged(f"{len(files)} x {label}", values.mean(axis=0), truth)


def _quality(score: Score, quality: str) -> float:
    return score.accuracy if quality == "accuracy" else -100.0 * score.loss


def _scores(
    cfg: Config, supernet: str, masks: Sequence[Mask], kind: str, fine_tune: int
) -> list[Score]:
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    load_model(model, supernet)
    held_out = Runner.build_dataloader(cfg.val_dataloader, seed=0)
    if kind in BN_STATISTICS:
        return MaskEvaluator(model, held_out, kind).scores(masks)
    training = Runner.build_dataloader(cfg.train_dataloader, seed=0)
    return fine_tuned_scores(model, training, held_out, masks, fine_tune)


def fine_tuned_scores(
    model: Any,
    training: DataLoader,
    held_out: DataLoader,
    masks: Sequence[Mask],
    iterations: int,
    lr: float = 0.02,
    seed: int = 0,
) -> list[Score]:
    """Scores of masks, each after the supernet's weights were trained on it for a little while.

    Every mask starts from the same weights and sees the same batches.

    Args:
        model: The supernet's classifier; left as it was.
        training: Training images.
        held_out: Held-out images.
        masks: The masks.
        iterations: Of SGD with momentum 0.9, its learning rate falling to zero in a line.
        lr: The first learning rate.
        seed: Of Python's, NumPy's and torch's global generators, which are set by it: without
            worker processes the batches' augmentations draw from them.
    """
    set_random_seed(seed)
    weights = copy.deepcopy(model.state_dict())
    was_training = model.training
    batches: list[Any] = list(itertools.islice(itertools.cycle(training), iterations))
    scores = []
    for mask in masks:
        model.load_state_dict(weights)
        backbone = find_backbone(model)
        backbone.set_mask(mask)
        model.train()
        optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        for index, raw in enumerate(batches):
            optimizer.param_groups[0]["lr"] = lr * (1.0 - index / len(batches))
            data = model.data_preprocessor(raw, training=True)
            loss = model(**data, mode="loss")["loss"]
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        scores.append(MaskEvaluator(model, held_out).score(mask))
    backbone.set_mask(backbone.ticket)
    model.load_state_dict(weights)
    model.train(was_training)
    return scores
