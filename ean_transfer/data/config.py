"""Reading a config's data sets without their folders: colour order, class names, what is there."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ean_transfer.errors import ConfigError
from ean_transfer.registry import inherits


def gives_rgb(cfg: Config) -> bool:
    """Whether the test data set hands images to the model's preprocessor in RGB; else in BGR.

    mmcv reads files as BGR, and so do all data sets but mmpretrain's CIFAR, which holds arrays. A
    preprocessor's ``rgb_to_bgr`` exchanges the channels of BGR all the same.
    """
    kind, _ = _test_dataset(cfg)
    return inherits(kind, "CIFAR10")


def class_names(cfg: Config, trained_on: Mapping[str, Any]) -> list[str] | None:
    """Names of the classes; ``None`` where neither the checkpoint nor the config has them.

    Args:
        cfg: The config, whose test data set is asked second.
        trained_on: The ``dataset_meta`` of the checkpoint, which is asked first.
    """
    kind, dataset = _test_dataset(cfg)
    candidates = (
        trained_on.get("classes"),
        (dataset.get("metainfo") or {}).get("classes"),
        dataset.get("classes"),
        getattr(kind, "METAINFO", {}).get("classes"),
    )
    for names in candidates:
        if names and isinstance(names, (list, tuple)):
            return [str(name) for name in names]
    return None


def test_pipeline(cfg: Config) -> list[Any] | None:
    """The steps of the test data set's pipeline; ``None`` where the config has no test data."""
    _, dataset = _test_dataset(cfg)
    return list(dataset.get("pipeline") or []) if dataset else None


def require_parts(cfg: Config, *needed: str) -> None:
    """Refuse a config that lacks a part, or says that it is ``None``.

    Raises:
        ConfigError: A part is missing.
    """
    if missing := [key for key in needed if cfg.get(key) is None]:
        raise ConfigError(f"{cfg.filename}: expected {', '.join(needed)}, found no {missing[0]}")


def dataset_config(cfg: Config, loader: str = "test_dataloader") -> Any:
    """The config of a loader's data set, with those that wrap it.

    Raises:
        ConfigError: The config has no such loader.
    """
    require_parts(cfg, loader)
    return cfg[loader]["dataset"]


def innermost(dataset: Any) -> Any:
    """The data set inside others that wrap it, such as ``RepeatDataset``; of several the first.

    Args:
        dataset: A data set, or the config of one.
    """
    while inner := _part(dataset, "dataset") or next(iter(_part(dataset, "datasets") or ()), None):
        dataset = inner
    return dataset


def _part(dataset: Any, name: str) -> Any:
    return dataset.get(name) if isinstance(dataset, Mapping) else getattr(dataset, name, None)


def _test_dataset(cfg: Config) -> tuple[Any, Mapping[str, Any]]:
    """Class and config of the innermost test data set."""
    dataset = innermost((cfg.get("test_dataloader") or {}).get("dataset") or {})
    kind = dataset.get("type")
    return (DATASETS.get(kind) if isinstance(kind, str) else kind), dataset
