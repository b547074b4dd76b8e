"""A data set by its name, with its arguments checked and its folder not yet read."""

from __future__ import annotations

import inspect
import os
from collections.abc import Mapping
from typing import Any, TypeAlias

from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset
from ean_transfer.crowd_counting.datasets.dots import DotImageDataset
from ean_transfer.crowd_counting.datasets.jhu import JHUCrowdDataset
from ean_transfer.crowd_counting.datasets.nwpu import NWPUCrowdDataset
from ean_transfer.crowd_counting.datasets.qnrf import QNRFDataset
from ean_transfer.crowd_counting.datasets.shanghaitech import ShanghaiTechDataset
from ean_transfer.errors import ConfigError

KINDS: Mapping[str, type[CountingDataset]] = {
    "shanghaitech": ShanghaiTechDataset,
    "qnrf": QNRFDataset,
    "jhu": JHUCrowdDataset,
    "nwpu": NWPUCrowdDataset,
    "dots": DotImageDataset,
}
"""Short names of the data sets."""

Kind: TypeAlias = str | type[CountingDataset]
"""A key of :data:`KINDS`, a registered name, or a class."""


def open_unread(
    kind: Kind, data_root: str | os.PathLike[str], options: Mapping[str, Any]
) -> CountingDataset:
    """The data set whose folder is not read yet: it can list and read files one at a time.

    Args:
        kind: The data set.
        data_root: Its folder.
        options: Its own arguments, e.g. ``{"part": "B", "split": "test"}``. Those that choose a
            part of the images or what becomes of them (``draw``, ``indices``, ``pipeline``, ...)
            are refused, as they play no role here.

    Raises:
        ConfigError: there is no such data set, or an option is unknown, missing or not among its
            choices.
    """
    cls = _class_of(kind)
    known = _options_of(cls)
    if unknown := sorted(set(options) - set(known)):
        raise ConfigError(
            f"{cls.__name__} takes no {', '.join(unknown)}; it takes {', '.join(known)}"
        )
    needed = [name for name, option in known.items() if option.default is option.empty]
    if missing := [name for name in needed if name not in options]:
        raise ConfigError(f"{cls.__name__} needs {', '.join(missing)}")
    for name, value in options.items():
        if isinstance(known[name].default, str) and not isinstance(value, str):
            raise ConfigError(f"{cls.__name__}: expected {name} as text, found {value!r}")
    return cls(data_root, lazy_init=True, **options)


def _class_of(kind: Kind) -> type[CountingDataset]:
    cls = KINDS.get(kind) or DATASETS.get(kind) if isinstance(kind, str) else kind
    if not (inspect.isclass(cls) and issubclass(cls, CountingDataset)):
        raise ConfigError(
            f"expected a data set, one of {', '.join(KINDS)} or the name of a registered "
            f"CountingDataset, found {kind!r}"
        )
    return cls


def _options_of(cls: type[CountingDataset]) -> dict[str, inspect.Parameter]:
    """Named arguments of the class and its bases down to :class:`CountingDataset`."""
    options: dict[str, inspect.Parameter] = {}
    for base in cls.__mro__[: cls.__mro__.index(CountingDataset) + 1]:
        for name, parameter in inspect.signature(base).parameters.items():
            if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
                options.setdefault(name, parameter)
    return {
        name: parameter for name, parameter in options.items() if name not in ("data_root", "draw")
    }
