"""Scores of all masks of a supernet in one file, so that searches can be compared in seconds."""

from __future__ import annotations

import copy
import json
import os
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from mmengine.runner import Runner

from ean_transfer.classification import ClassificationScorer, HeldOutSplit
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import replacing
from ean_transfer.io.hashes import weights_hash
from ean_transfer.supernet import MaskEvaluator, Score, find_backbone
from ean_transfer.ticket.mask import Mask, all_masks, bits_of

SHIPPED = Path(__file__).parent / "data"
"""Folder of the shipped tables."""


@dataclass(frozen=True)
class ScoreTable:
    """The score of every mask of a supernet of m blocks.

    Attributes:
        about: The network, its supernet and the numbers of images.
        correct: (2^m,) int32, the number of right answers of each mask, in binary order; by the
            kind of BatchNorm statistics and the part of the data, ``held_out`` or ``test``.
        loss: (2^m,) float32, mean cross entropy in nats; by the same keys.
    """

    about: Mapping[str, Any]
    correct: Mapping[tuple[str, str], np.ndarray]
    loss: Mapping[tuple[str, str], np.ndarray]

    @property
    def blocks(self) -> tuple[int, ...]:
        """Number of residual blocks in each stage."""
        return tuple(self.about["blocks"])

    @property
    def bn(self) -> list[str]:
        """Kinds of BatchNorm statistics that the masks were scored with."""
        return sorted({bn for bn, _ in self.correct})

    def accuracy(self, bn: str, part: str = "held_out") -> np.ndarray:
        """(2^m,) top-1 accuracy in percent of every mask, in binary order."""
        return 100.0 * self.correct[bn, part] / self.about["images"][part]

    def score(self, mask: Mask, bn: str, part: str = "held_out") -> Score:
        """The score of one mask."""
        index = int(bits_of(mask), 2)
        return Score(
            metric=float(self.accuracy(bn, part)[index]),
            loss=float(self.loss[bn, part][index]),
            images=self.about["images"][part],
        )

    def save(self, file: str | os.PathLike[str]) -> None:
        """Write a compressed file atomically."""
        arrays = {"about": np.array(json.dumps(dict(self.about)))}
        for (bn, part), correct in self.correct.items():
            arrays[f"{bn}.{part}.correct"] = correct.astype(np.int32)
            arrays[f"{bn}.{part}.loss"] = self.loss[bn, part].astype(np.float32)
        path = Path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as partial, partial.open("wb") as stream:
            np.savez_compressed(stream, **arrays)  # type: ignore[arg-type]

    @classmethod
    def load(cls, file: str | os.PathLike[str]) -> ScoreTable:
        """Read what :meth:`save` wrote.

        Raises:
            DataError: The file is not such a table.
        """
        scores: dict[str, dict[tuple[str, str], np.ndarray]] = {"correct": {}, "loss": {}}
        # What a file that is no table, or no zip archive, makes NumPy and json raise.
        errors = (OSError, ValueError, KeyError, TypeError, AttributeError, zipfile.BadZipFile)
        try:
            with np.load(file, allow_pickle=False) as arrays:
                about = json.loads(str(arrays["about"]))
                for name in set(arrays.files) - {"about"}:
                    bn, part, quantity = name.split(".")
                    scores[quantity][bn, part] = arrays[name]
                for key in ("blocks", "images", "backbone", "attention"):
                    about[key]  # a KeyError, if it is missing
        except errors as error:
            raise DataError(f"{file}: not a table of scores ({error})") from None
        return cls(about=about, **scores)


def shipped_tables() -> dict[str, Path]:
    """Files of the shipped tables, by name."""
    return {file.stem: file for file in sorted(SHIPPED.glob("*.npz"))}


def make_table(
    cfg: Config,
    supernet: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    bn: Sequence[str] = ("batch", "running"),
    test_per_class: int = 100,
) -> ScoreTable:
    """Score every mask of a supernet on the held-out images and on test images.

    Scores that ``out`` already holds of the same supernet are reused.

    Args:
        cfg: The supernet's config: ``val_dataloader`` has the held-out images.
        supernet: The supernet's checkpoint.
        out: File of the table.
        bn: Kinds of BatchNorm statistics.
        test_per_class: Test images per class, drawn with seed 0 and in an order that mixes the
            classes, as batch statistics need.

    Raises:
        ConfigError: The network has more than 12 blocks, or ``out`` is of another supernet.
        DataError: There are too few test images.
    """
    model = MODELS.build(cfg.model).to(memory_format=torch.channels_last)
    load_model(model, supernet)
    network = find_backbone(model).ticket
    if network.num_blocks > 12:
        raise ConfigError(f"expected at most 12 blocks (2^12 masks), found {network.num_blocks}")
    test = copy.deepcopy(cfg.val_dataloader)
    test.dataset = dict(
        type=HeldOutSplit,
        part="held_out",
        per_class=test_per_class,
        dataset=cfg.test_dataloader.dataset,
    )
    loaders = {
        part: Runner.build_dataloader(loader, seed=0)
        for part, loader in (("held_out", cfg.val_dataloader), ("test", test))
    }
    about = {
        "config": Path(str(cfg.filename)).name,
        "backbone": network.backbone.name,
        "blocks": list(network.backbone.blocks),
        "attention": network.attention,
        "attention_options": network.attention_options,
        "sharing": network.sharing,
        "supernet_sha256": weights_hash(model.state_dict()),
        "images": {part: len(loader.dataset) for part, loader in loaders.items()},  # type: ignore[arg-type]
    }
    table = ScoreTable(about, {}, {})
    if Path(out).exists():
        table = ScoreTable.load(out)
        if table.about != about:
            raise ConfigError(f"{out}: found a table of another supernet or of other images")
    masks = all_masks(network.num_blocks)
    for kind in bn:
        for part, loader in loaders.items():
            if (kind, part) in table.correct:
                continue
            scores = MaskEvaluator(model, loader, ClassificationScorer(), kind).scores(masks)
            correct = [round(s.metric * s.images / 100.0) for s in scores]
            table = ScoreTable(
                about,
                {**table.correct, (kind, part): np.array(correct, dtype=np.int32)},
                {**table.loss, (kind, part): np.array([s.loss for s in scores], np.float32)},
            )
            table.save(out)
            accuracy = table.accuracy(kind, part)
            print(
                f"{kind} statistics, {part}: accuracy {accuracy.min():.2f} to "
                f"{accuracy.max():.2f}, none {accuracy[0]:.2f}, full {accuracy[-1]:.2f}",
                flush=True,
            )
    return table
