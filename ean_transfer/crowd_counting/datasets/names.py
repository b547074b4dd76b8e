"""Opening a data set by its name, without reading its folder: for reports and contact sheets."""

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
from ean_transfer.crowd_counting.datasets.plain import PointsDataset
from ean_transfer.crowd_counting.datasets.qnrf import QNRFDataset
from ean_transfer.crowd_counting.datasets.shanghaitech import ShanghaiTechDataset
from ean_transfer.errors import ConfigError

KINDS: Mapping[str, type[CountingDataset]] = {
    "shanghaitech": ShanghaiTechDataset,
    "qnrf": QNRFDataset,
    "jhu": JHUCrowdDataset,
    "nwpu": NWPUCrowdDataset,
    "dots": DotImageDataset,
    "points": PointsDataset,
}
"""Data sets by their short names."""

Kind: TypeAlias = str | type[CountingDataset]
"""A key of :data:`KINDS`, a registered name, or a class."""


def open_unread(
    kind: Kind, data_root: str | os.PathLike[str], options: Mapping[str, Any]
) -> CountingDataset:
    """Build a data set whose folder is not read yet: it can list and read files one by one.

    Args:
        kind: The data set.
        data_root: Its folder.
        options: Its own arguments, e.g. ``{"part": "B", "split": "test"}``. Arguments that choose
            images or process them (``draw``, ``indices``, ``pipeline``, ...) have no effect on
            reading single files and are refused.

    Raises:
        ConfigError: There is no such data set, or an option is unknown, missing or not among its
            choices.
    """
    cls = _class_of(kind)
    known = _options_of(cls)
    if unknown := [name for name in options if name not in known]:
        raise ConfigError(
            f"{cls.__name__} takes no {', '.join(unknown)}; it takes {', '.join(known)}"
        )
    return cls(data_root, lazy_init=True, **options)


def _class_of(kind: Kind) -> type[CountingDataset]:
    cls = KINDS.get(kind) or DATASETS.get(kind) if isinstance(kind, str) else kind
    if not (inspect.isclass(cls) and issubclass(cls, CountingDataset)):
        raise ConfigError(
            f"expected a data set, one of {', '.join(KINDS)} or the name of a registered "
            f"CountingDataset, found {kind!r}"
        )
    return cls


def _options_of(cls: type[CountingDataset]) -> list[str]:
    """Named arguments of the class and its bases down to :class:`CountingDataset`."""
    bases = cls.__mro__[: cls.__mro__.index(CountingDataset) + 1]
    names = dict.fromkeys(name for base in bases for name in inspect.signature(base).parameters)
    return [name for name in names if name not in ("data_root", "draw", "kwargs")]
