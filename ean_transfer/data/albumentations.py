"""Albumentations' transforms from a config's dicts, drawing by the seed of the worker.

albumentations' own generators start from the operating system's entropy when a transform is built:
no config's seed reaches them, and a data loader's workers, copies of one process, all draw alike.
"""

from __future__ import annotations

import inspect
import os
import random
import warnings
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np

from ean_transfer.errors import ConfigError

# albumentations asks the network for its newest version when imported.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
import albumentations  # noqa: E402

_NONE: Mapping[Any, Any] = MappingProxyType({})


def build_augmentation(
    transform: Mapping[str, Any],
    owner: str,
    *,
    refused: Mapping[str, str] = _NONE,
    replaced: Mapping[Any, Any] = _NONE,
    fill_mask: int | None = None,
    **options: Any,
) -> albumentations.Compose:
    """A transform of albumentations.

    Args:
        transform: ``type``, a name or class of albumentations, and its arguments; a composition's
            ``transforms`` (``OneOf``, ...) are a list of such dicts.
        owner: Whom the transform is built for; errors begin with it.
        refused: Name of a transform, or of a class it is derived from -> why it will not do.
        replaced: Class of albumentations -> what is built in its place.
        fill_mask: Label of what a transform opens beyond the image's edge, where the config gives
            none; albumentations' own is 0. Dropouts, which leave masks as they are, are let be.
        **options: Of albumentations' ``Compose``.

    Raises:
        ConfigError: There is no such transform, it is refused, or it does not take one of its
            arguments.
    """

    def build(transform: Mapping[str, Any]) -> Any:
        arguments = dict(transform)
        kind = arguments.pop("type", None)
        if isinstance(kind, str):
            kind = getattr(albumentations, kind, None)
        for base in getattr(kind, "__mro__", ()):
            if reason := refused.get(base.__name__):
                raise ConfigError(f"{owner}: {kind.__name__} {reason}; leave it out of {transform}")
        kind = replaced.get(kind, kind)
        if not callable(kind):
            raise ConfigError(
                f"{owner}: expected the type of an albumentations transform, found "
                f"{transform.get('type')!r} in {transform}"
            )
        if "transforms" in arguments:
            arguments["transforms"] = [build(inner) for inner in arguments["transforms"]]
        parameter = inspect.signature(kind).parameters.get("fill_mask")
        if fill_mask is not None and parameter is not None and parameter.default is not None:
            arguments.setdefault("fill_mask", fill_mask)
        return kind(**arguments)

    try:
        with warnings.catch_warnings():
            # It warns that colour leaves points alone, and of unknown arguments: errors by strict.
            warnings.simplefilter("ignore", UserWarning)
            return albumentations.Compose([build(transform)], strict=True, **options)
    except (TypeError, ValueError) as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{owner}: cannot build {dict(transform)}: {error}") from error


def seed_by_numpy(augmentations: Sequence[albumentations.Compose]) -> None:
    """Let the next call of each draw by NumPy's global generator, which mmengine seeds in workers.

    They share a generator: seeding each instead would start every transform from the same number
    and tie a crop's place to the flip's coin.
    """
    seed = int(np.random.randint(2**31))
    numpy_generator, python_generator = np.random.default_rng(seed), random.Random(seed)
    for augmentation in augmentations:
        augmentation.set_random_state(numpy_generator, python_generator)
