"""Ground truth: masks trained from scratch one by one, which cheap scores are judged by."""

from __future__ import annotations

import copy
import gc
import itertools
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.registry import MODELS
from mmpretrain.evaluation import Accuracy

from ean_transfer.attention import AttentionSpec, attention_options
from ean_transfer.engine.config import backbone_configs
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import refuse_to_replace, write_atomically
from ean_transfer.io.records import JSONFile, read_record
from ean_transfer.ticket.mask import Mask, all_masks, bits_of, random_mask


class GroundTruth(JSONFile):
    """Test accuracies of masks trained from scratch.

    Args:
        network: What was trained: config, depth, width, attention, sharing.
        accuracy: Top-1 in percent by the mask's bits and the seed.
    """

    what = "ground truth"
    error = DataError

    network: dict[str, Any]
    accuracy: dict[str, dict[int, float]]

    @property
    def masks(self) -> list[str]:
        """The masks' bits, in order."""
        return sorted(self.accuracy)

    @property
    def seeds(self) -> list[int]:
        """Seeds that all masks were trained with."""
        return sorted(set.intersection(*(set(by_seed) for by_seed in self.accuracy.values())))

    def values(self, seeds: Sequence[int] | None = None) -> np.ndarray:
        """Mean accuracy of each of :attr:`masks`, over the seeds."""
        chosen = self.seeds if seeds is None else seeds
        return np.array([np.mean([self.accuracy[b][s] for s in chosen]) for b in self.masks])


def sampled_masks(num_blocks: int, count: int, seed: int = 0) -> list[Mask]:
    """None, full, and random masks of three densities: 1/4, 1/2 and 3/4 of the blocks on average.

    Raises:
        ConfigError: There are not as many masks.
    """
    if not 2 <= count <= 2**num_blocks:
        raise ConfigError(f"expected 2 to {2**num_blocks} masks ({num_blocks} blocks), not {count}")
    masks: dict[Mask, None] = {(False,) * num_blocks: None, (True,) * num_blocks: None}
    index = 0
    while len(masks) < count:
        masks[random_mask(num_blocks, seed, index, (index % 3 + 1) / 4)] = None
        index += 1
    return list(masks)


def masks_of(cfg: Config, count: int | None = None) -> list[Mask]:
    """Masks of a config's network: ``count`` :func:`sampled_masks`, or all of them."""
    num_blocks = MODELS.build(_backbone(cfg)).ticket.num_blocks
    return all_masks(num_blocks) if count is None else sampled_masks(num_blocks, count)


def train_from_scratch(
    cfg: Config,
    masks: Sequence[Mask],
    seeds: Sequence[int],
    work_dir: str | os.PathLike[str],
) -> GroundTruth:
    """Train a config's network with every mask and seed, and test it.

    Each result is written to ``<work_dir>/seed<seed>_<bits>.json`` when it is known, and is reused
    by later calls. Several processes with different seeds can share a work dir.

    Args:
        cfg: A classification config whose backbone has an attention.
        masks: The masks.
        seeds: Seeds of the trainings; all masks of one seed come before the next seed.
        work_dir: Folder of the results.

    Raises:
        ConfigError: The config has no attention or no top-1 accuracy, or the work dir belongs to
            another config.
    """
    folder = Path(work_dir)
    _backbone(cfg)
    _require_top1(cfg)
    copied = folder / "config.py"  # results of two configs must not mix
    refuse_to_replace(
        [copied],
        f"a --work-dir with results of {cfg.filename} as it is now",
        is_ours=lambda file: file.read_text(encoding="utf-8") == cfg.pretty_text,
    )
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(copied, cfg.pretty_text)
    for number, (seed, mask) in enumerate(itertools.product(seeds, masks), start=1):
        file = folder / f"seed{seed}_{bits_of(mask)}.json"
        if file.exists():
            continue
        accuracy = _accuracy(cfg, mask, seed, folder / f"running_seed{seed}")
        write_atomically(file, json.dumps({"accuracy": accuracy}) + "\n")
        total = len(seeds) * len(masks)
        print(f"{number}/{total}: {bits_of(mask)}, seed {seed}: {accuracy:.2f}", flush=True)
    return collect(cfg, masks, folder)


def collect(cfg: Config, masks: Sequence[Mask], work_dir: str | os.PathLike[str]) -> GroundTruth:
    """The ground truth of the results in a work dir."""
    accuracy: dict[str, dict[int, float]] = {bits_of(mask): {} for mask in masks}
    for file in sorted(Path(work_dir).glob("seed*_*.json")):
        seed, bits = file.stem.removeprefix("seed").split("_")
        if bits in accuracy:
            advice = "delete it, and the mask is trained again"
            result = read_record(file, "the accuracy of a mask", advice, ["accuracy"])
            accuracy[bits][int(seed)] = round(result["accuracy"], 4)
    network = {"config": Path(str(cfg.filename)).name, **_network(cfg)}
    return GroundTruth(network=network, accuracy=accuracy)


def require_same_network(truth: GroundTruth, cfg: Config) -> None:
    """Refuse a ground truth of another network than a config's, whose masks may look the same.

    Raises:
        ConfigError: They differ in depth, width, attention, its options, or sharing.
    """
    trained = dict(truth.network)
    if trained.get("attention") is not None:
        trained["attention"] = _attention(trained["attention"])
    for key, value in _network(cfg).items():
        if trained.get(key) != value:
            raise ConfigError(
                f"{cfg.filename}: expected a ground truth of its network, with {key} {value}, "
                f"found one with {trained.get(key)} (of {trained.get('config')})"
            )


def _network(cfg: Config) -> dict[str, Any]:
    backbone = _backbone(cfg)
    return {
        "depth": backbone["depth"],
        "base_channels": backbone.get("base_channels"),
        "attention": _attention(backbone["attention"]),
        "sharing": backbone.get("sharing", "stage"),
    }


def _attention(spec: AttentionSpec) -> dict[str, Any]:
    """An attention as plain data with all options: a config may have a class and omit defaults."""
    name, options = attention_options(spec)
    return {"type": name, **options}


def _backbone(cfg: Config) -> Any:
    backbone = next(backbone_configs(cfg.model), None)
    if backbone is None or backbone.get("attention") is None:
        raise ConfigError(f"{cfg.filename}: a ground truth needs a ticketed backbone's attention")
    return backbone


def _require_top1(cfg: Config) -> None:
    """Refuse a config whose test does not give the top-1 accuracy: it shows after a training."""
    metrics = Evaluator(cfg.get("test_evaluator") or []).metrics
    if not any(isinstance(metric, Accuracy) and 1 in metric.topk for metric in metrics):
        names = ", ".join(type(metric).__name__ for metric in metrics) or "none"
        raise ConfigError(
            f"{cfg.filename}: expected a classification config, whose test_evaluator is Accuracy "
            f"with 1 in its topk, found {names}"
        )


def _accuracy(cfg: Config, mask: Mask, seed: int, folder: Path) -> float:
    cfg = copy.deepcopy(cfg)
    for backbone in backbone_configs(cfg.model):
        network = MODELS.build(backbone | {"ticket": "full"}).ticket
        backbone["ticket"] = network.with_mask(mask).model_dump(mode="json")
    cfg.val_cfg = cfg.val_dataloader = cfg.val_evaluator = None  # tested once, at the end
    cfg.default_hooks["checkpoint"] = None
    runner = train(cfg, folder, seed=seed, quiet=True)
    accuracy = float(runner.test()["accuracy/top1"])
    del runner
    gc.collect()
    return accuracy
