"""What people change first in a config that is not theirs: batch size, data, classes.

The training's length and learning rate are in :mod:`~ean_transfer.engine.length`.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ean_transfer.engine.overrides import LOADERS
from ean_transfer.engine.pipelines import walk
from ean_transfer.errors import ConfigError
from ean_transfer.registry import inherits


def set_batch_size(cfg: Config, loader: str, number: int) -> None:
    """Set the number of images in a batch.

    Args:
        cfg: The config, which is changed.
        loader: The loader's name, e.g. ``"train_dataloader"``.
        number: Images in a batch, in each process.

    Raises:
        ConfigError: There is no such loader, or a sampler makes its batches.
    """
    part = cfg.get(loader)
    if not part or "batch_sampler" in part:
        has = "a batch_sampler, which makes the batches" if part else "none"
        raise ConfigError(
            f"--batch-size {number}: expected a plain {loader}, {cfg.filename} has {has}"
        )
    part["batch_size"] = number


def set_data_root(cfg: Config, folder: str) -> None:
    """Read all data sets of a config from another folder.

    Args:
        cfg: The config, which is changed.
        folder: The data sets' common root.

    Raises:
        ConfigError: No data set has a ``data_root``, or they have different ones.
    """
    parts = {
        key: part for key, part in _loaders(cfg) if isinstance(part, dict) and "data_root" in part
    }
    roots = {str(part["data_root"]): f"{key}.data_root" for key, part in parts.items()}
    if len(roots) != 1:
        several = ", ".join(f"{key}={root}" for root, key in roots.items())
        remedy = f"{several}: set each by --cfg-options" if several else "none"
        raise ConfigError(
            f"--data {folder}: expected data sets with one data_root, {cfg.filename} has {remedy}"
        )
    for part in parts.values():
        part["data_root"] = folder


def set_classes(cfg: Config, classes: int | Sequence[str]) -> None:
    """Set the classes of a model's heads and metrics, and their names in the data sets.

    Args:
        cfg: The config, which is changed.
        classes: Their number, where the data sets find the names themselves; or the names, in the
            order of the labels.

    Raises:
        ConfigError: The model has no head of classes, a loss has weights of other classes, or data
            sets have names of another number of classes.
    """
    number = classes if isinstance(classes, int) else len(classes)
    model = {name: part for name, part in (cfg.get("model") or {}).items() if name != "backbone"}
    others = ("data_preprocessor", "val_evaluator", "test_evaluator")
    parts = [
        part
        for _, part in walk([model, *(cfg.get(name) for name in others)])
        if isinstance(part, dict)
    ]
    if not any("num_classes" in part for part in parts):
        raise ConfigError(f"--classes: expected a model with num_classes, {cfg.filename} has none")
    for part in parts:
        if "num_classes" in part:
            part["num_classes"] = number
        if isinstance(part.get("topk"), (list, tuple)):  # accuracy among the k first
            part["topk"] = tuple(k for k in part["topk"] if k <= number) or (1,)
        weights = part.get("class_weight")
        if isinstance(weights, (list, tuple)) and len(weights) != number:
            raise ConfigError(
                f"--classes: expected {number} class_weight in the loss, {cfg.filename} has "
                f"{len(weights)}: set or leave out loss_decode.class_weight"
            )
    for _, dataset in _datasets(cfg):
        if isinstance(classes, int):
            _require_names(cfg, dataset, classes)
        else:
            _name_classes(dataset, tuple(classes))


def _loaders(cfg: Config) -> Iterator[tuple[str, Any]]:
    return walk({name: dict.get(cfg._cfg_dict, name) for name in LOADERS})


def _datasets(cfg: Config) -> Iterator[tuple[str, dict[str, Any]]]:
    """The innermost data sets of all loaders, within those that wrap them."""
    for key, part in _loaders(cfg):
        names = key.split(".")
        is_dataset = names[-1] == "dataset" or names[-2:-1] == ["datasets"]
        if is_dataset and isinstance(part, dict) and not {"dataset", "datasets"} & set(part):
            yield key, part


def _require_names(cfg: Config, dataset: dict[str, Any], number: int) -> None:
    names = dataset.get("classes") or (dataset.get("metainfo") or {}).get("classes") or ()
    if names and len(names) != number:
        raise ConfigError(
            f"--classes {number}: the data sets of {cfg.filename} name {len(names)} classes "
            f"({names[0]} ... {names[-1]}): expected {number} names"
        )


def _name_classes(dataset: dict[str, Any], names: tuple[str, ...]) -> None:
    """Name a data set's classes, unless it always has the same ones.

    One of mmsegmentation's takes some of its own.
    """
    kind = dataset["type"]
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    if getattr(kind, "METAINFO", {}).get("classes") and not inherits(kind, "BaseSegDataset"):
        return
    if any("classes" in inspect.signature(base.__init__).parameters for base in kind.__mro__):
        dataset["classes"] = names
    else:
        info = {
            key: value for key, value in (dataset.get("metainfo") or {}).items() if key != "palette"
        }
        dataset["metainfo"] = {**info, "classes": names}
