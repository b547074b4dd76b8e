"""Transforms of a config's data sets, by their names instead of by their positions."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ean_transfer.errors import ConfigError
from ean_transfer.registry import type_name


def change_transform(loader: dict[str, Any], name: str, **options: Any) -> None:
    """Change options of a transform in the pipelines of a loader's data sets.

    Configs read it from ``_base_/change_transform.py``.

    Args:
        loader: A loader's config, such as ``train_dataloader``, which is changed.
        name: The transform's type, e.g. ``"RandomCrop"``; also of one within another.
        options: Name of an option -> its value.

    Raises:
        ConfigError: No pipeline has such a transform, or one has several.
    """
    for _, transform in transforms_named(loader, name):
        transform.update(options)


def transforms_named(part: dict[str, Any], name: str) -> list[tuple[str, dict[str, Any]]]:
    """Keys, with dots, and configs of the transforms of one type, at most one in each pipeline.

    Args:
        part: Part of a config, whose pipelines are searched at any depth.
        name: The transform's type.

    Raises:
        ConfigError: No pipeline has such a transform, or one has several.
    """
    matches: list[tuple[str, dict[str, Any]]] = []
    others: set[str] = set()
    for key, value in walk(part):
        if key.rpartition(".")[2] != "pipeline" or not isinstance(value, (list, tuple)):
            continue
        transforms = [(f"{key}.{inner}", one) for inner, one in walk(value) if "type" in _dict(one)]
        same = [item for item in transforms if kind_of(item[1]) == name]
        if len(same) > 1:
            keys = " and ".join(place for place, _ in same)
            raise ConfigError(f"expected one transform {name} in a pipeline, found {keys}")
        matches += same
        others.update(kind_of(one) for _, one in transforms)
    if not matches:
        there = ", ".join(sorted(others)) or "no pipeline"
        raise ConfigError(f"expected a transform {name} in a data set's pipeline, found {there}")
    return matches


def walk(value: Any) -> Iterator[tuple[str, Any]]:
    """Yield key, with dots, and value of everything within a config's dicts and lists."""
    inner: Any = ()
    if isinstance(value, dict):
        inner = dict.items(value)  # as it stands: nothing is imported
    elif isinstance(value, (list, tuple)):
        inner = enumerate(value)
    for key, part in inner:
        yield str(key), part
        for rest, deeper in walk(part):
            yield f"{key}.{rest}", deeper


def kind_of(part: Any) -> str:
    """The class name of a config's part; empty if it has no ``type``."""
    kind = dict.get(_dict(part), "type")
    return type_name(kind if kind is None or isinstance(kind, type) else str(kind))


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}
