"""What a config's test data set, which need not be there, says of pixels and classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS


def gives_rgb(cfg: Config) -> bool:
    """Whether the data set hands images to the model's preprocessor in RGB; else in BGR.

    mmcv reads files as BGR, and so do all data sets but mmpretrain's CIFAR, which holds arrays.
    """
    preprocessor = cfg.model.get("data_preprocessor") or {}
    kind, _ = _test_dataset(cfg)
    is_cifar = any(base.__name__ == "CIFAR10" for base in getattr(kind, "__mro__", ()))
    return is_cifar or bool(preprocessor.get("rgb_to_bgr"))


def class_names(cfg: Config, trained_on: Mapping[str, Any]) -> list[str] | None:
    """Names of the classes, ``None`` if nothing says them.

    Args:
        cfg: The config; what its data set says comes second.
        trained_on: The ``dataset_meta`` of the checkpoint.
    """
    kind, dataset = _test_dataset(cfg)
    for said in (
        trained_on.get("classes"),
        (dataset.get("metainfo") or {}).get("classes"),
        dataset.get("classes"),
        getattr(kind, "METAINFO", {}).get("classes"),
    ):
        if said and isinstance(said, (list, tuple)):
            return [str(name) for name in said]
    return None


def innermost_config(dataset: Mapping[str, Any]) -> Mapping[str, Any]:
    """The config of the data set inside others that wrap it; of several the first."""
    while inner := dataset.get("dataset") or (dataset.get("datasets") or [None])[0]:
        dataset = inner
    return dataset


def _test_dataset(cfg: Config) -> tuple[Any, Mapping[str, Any]]:
    """Class and config of the data set, the innermost of one that wraps others."""
    dataset = (cfg.get("test_dataloader") or {}).get("dataset") or {}
    dataset = innermost_config(dataset)
    kind = dataset.get("type")
    return (DATASETS.get(kind) if isinstance(kind, str) else kind), dataset
