"""Ground truth: tickets trained from scratch, one by one, to judge what scores them cheaply."""

from __future__ import annotations

import copy
import gc
import itertools
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from ean_transfer.io.files import write_atomically
from ean_transfer.ticket.mask import Mask, all_masks, bits_of, random_mask


@dataclass(frozen=True)
class GroundTruth:
    """Test accuracies of tickets trained from scratch.

    Attributes:
        network: What was trained: config, backbone, attention.
        accuracy: bits -> seed -> top-1 in percent.
    """

    network: Mapping[str, Any]
    accuracy: Mapping[str, Mapping[int, float]]

    @property
    def masks(self) -> list[str]:
        """The masks' bits, in order."""
        return sorted(self.accuracy)

    @property
    def seeds(self) -> list[int]:
        """Seeds that all masks were trained with."""
        return sorted(set.intersection(*(set(found) for found in self.accuracy.values())))

    def values(self, seeds: Sequence[int] | None = None) -> np.ndarray:
        """Mean accuracy of each of :attr:`masks`, over the seeds."""
        chosen = self.seeds if seeds is None else seeds
        return np.array([np.mean([self.accuracy[b][s] for s in chosen]) for b in self.masks])

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write as JSON."""
        lines = []  # one a mask
        for bits in self.masks:
            found = {str(seed): round(self.accuracy[bits][seed], 4) for seed in self.seeds}
            lines.append(f'    "{bits}": {json.dumps(found)}')
        network, table = json.dumps(dict(self.network)), ",\n".join(lines)
        text = f'{{\n  "network": {network},\n  "accuracy": {{\n{table}\n  }}\n}}\n'
        write_atomically(Path(file), text)

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> GroundTruth:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: If the file is not a ground truth.
        """
        try:
            data = json.loads(Path(file).read_text(encoding="utf-8"))
            accuracy = {
                bits: {int(seed): float(value) for seed, value in found.items()}
                for bits, found in data["accuracy"].items()
            }
            return cls(network=data["network"], accuracy=accuracy)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file}: not a ground truth table ({error})") from error


def spread_masks(num_blocks: int, count: int, seed: int = 0) -> list[Mask]:
    """None, full, and random masks, the number of connections spread over its whole range.

    Raises:
        ConfigError: If there are not as many masks.
    """
    if not 2 <= count <= 2**num_blocks:
        raise ConfigError(f"{num_blocks} blocks have 2 to {2**num_blocks} masks, found {count}")
    masks: dict[Mask, None] = {(False,) * num_blocks: None, (True,) * num_blocks: None}
    index = 0
    while len(masks) < count:
        share = (index % 3 + 1) / 4  # a quarter, a half, three quarters connected
        masks[random_mask(num_blocks, seed, index, share)] = None
        index += 1
    return list(masks)


def masks_of(cfg: Config, count: int | None = None) -> list[Mask]:
    """Masks of a config's network: ``count`` of them, see :func:`spread_masks`, or all."""
    num_blocks = MODELS.build(_backbone(cfg)).ticket.num_blocks
    return all_masks(num_blocks) if count is None else spread_masks(num_blocks, count)


def train_from_scratch(
    cfg: Config,
    masks: Sequence[Mask],
    seeds: Sequence[int],
    work_dir: str | os.PathLike[str],
) -> GroundTruth:
    """Train a config's network with every mask and seed, and test it.

    Each result is kept as ``<work_dir>/seed<seed>_<bits>.json`` as soon as it is there, and what is
    there is not trained again; several processes with different seeds can share a work dir.

    Args:
        cfg: A classification config whose backbone has an attention.
        masks: The masks.
        seeds: Of the trainings; the table goes seed by seed.
        work_dir: Where the results are kept.

    Raises:
        ConfigError: If the config has no attention or no top-1 accuracy, or the work dir is another
            config's.
    """
    folder = Path(work_dir)
    _backbone(cfg)
    _require_top1(cfg)
    _require_same_config(cfg, folder / "config.py")
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
    """The table of what lies in the work dir."""
    accuracy: dict[str, dict[int, float]] = {bits_of(mask): {} for mask in masks}
    for file in sorted(Path(work_dir).glob("seed*_*.json")):
        seed, bits = file.stem.removeprefix("seed").split("_")
        if bits in accuracy:
            accuracy[bits][int(seed)] = json.loads(file.read_text(encoding="utf-8"))["accuracy"]
    network = {"config": Path(str(cfg.filename)).name, **_network(cfg)}
    return GroundTruth(network=network, accuracy=accuracy)


def require_same_network(truth: GroundTruth, cfg: Config) -> None:
    """Refuse a ground truth of another network than a config's, whose masks may look the same.

    Raises:
        ConfigError: If they differ in depth, width, attention, its options, or sharing.
    """
    for key, value in _network(cfg).items():
        found = truth.network.get(key)
        if key == "attention" and found is not None:
            found = _attention(found)
        if found != value:
            raise ConfigError(
                f"{cfg.filename}: expected a ground truth of its network, with {key} {value}, "
                f"found one with {found} (of {truth.network.get('config')})"
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
    """As plain data, with all options: a config may have a class, and leave out the defaults."""
    name, options = attention_options(spec)
    return {"type": name, **options}


def _backbone(cfg: Config) -> Any:
    backbone = next(backbone_configs(cfg.model), None)
    if backbone is None or backbone.get("attention") is None:
        raise ConfigError(f"{cfg.filename}: a ground truth needs a ticketed backbone's attention")
    return backbone


def _require_top1(cfg: Config) -> None:
    """Refuse, before anything is trained, a config whose test does not give the top-1 accuracy."""
    metrics = Evaluator(cfg.get("test_evaluator") or []).metrics
    if not any(isinstance(metric, Accuracy) and 1 in metric.topk for metric in metrics):
        found = ", ".join(type(metric).__name__ for metric in metrics) or "none"
        raise ConfigError(
            f"{cfg.filename}: expected a classification config, whose test_evaluator is Accuracy "
            f"with 1 in its topk, found {found}"
        )


def _require_same_config(cfg: Config, file: Path) -> None:
    """Refuse to mix the results of two configs in one folder."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, cfg.pretty_text)
    elif file.read_text(encoding="utf-8") != cfg.pretty_text:
        raise ConfigError(
            f"{file.parent}: its results are of another config ({file.name} there differs from "
            f"{cfg.filename}): choose another --work-dir"
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
