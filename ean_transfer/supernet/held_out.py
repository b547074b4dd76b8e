"""The held-out images that masks are scored on: always the same batches, read only once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeGuard, cast

import torch
from mmengine.logging import print_log
from torch import Tensor
from torch.utils._pytree import tree_leaves
from torch.utils.data import DataLoader, IterableDataset, Sampler

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.on_disk import changed, on_disk


class HeldOut:
    """Prepared batches of held-out images, the same ones in each iteration.

    They are read in a mixed order, whatever that of the loader's sampler: data sets often come
    class by class or video by video, and batches have to be alike, since a mask is scored with the
    statistics of each batch. A data set that draws its own order says so by ``in_drawn_order``. A
    sampler of some of the images, by its ``indices`` (``SubsetRandomSampler``) or as a list, keeps
    its choice. Batches that are too large for memory are kept on the disk as they were read,
    commonly as bytes, and prepared anew in each iteration; without a folder for them they are read
    anew.

    Args:
        source: A data loader of a map-style data set, with a batch size; or other batches, which
            are taken as they are.
        prepare: What to do with each batch once.
        number: Number of images to use, the first ones of that order, rounded up to whole
            batches; all by default, and of mere batches.
        join_single: Whether a single image that is left over joins the batch before it, as
            BatchNorm would normalise it by itself.
        max_cached_bytes: Largest size of prepared batches to keep in memory.
        folder: Where to keep larger ones, as nameless files that vanish with the process.

    Attributes:
        images: Number of images; ``None`` for mere batches.
        uses_all: Whether these are all images that the source has, or its sampler chooses.

    Raises:
        ConfigError: Images would be normalised one by one, ``number`` is below 1 or is given for
            mere batches, or, once they are read, there are no images.
    """

    def __init__(
        self,
        source: Iterable[Any],
        prepare: Callable[[Any], Any],
        number: int | None = None,
        *,
        join_single: bool = True,
        max_cached_bytes: float = 2e9,
        folder: Path | None = None,
    ) -> None:
        if number is not None and number < 1:
            raise ConfigError(f"a mask is scored on at least one image, found images={number}")
        self._prepare = prepare
        self._max_cached_bytes = max_cached_bytes
        self._folder = folder
        self._fits = True  # until the batches turn out too large for memory
        self._cached: list[Any] | None = None
        self._on_disk: list[Any] | None = None
        self._batches = source
        self.images: int | None = None
        self.uses_all = True
        if _is_readable_in_any_order(source):
            places = _places(source)
            size = cast(int, source.batch_size)
            batches = _in_batches(places, size, number, join_single)
            self.images = sum(map(len, batches))
            self.uses_all = self.images == len(places)
            self._batches = DataLoader(
                source.dataset,
                batch_sampler=batches,
                num_workers=source.num_workers,
                collate_fn=source.collate_fn,
                worker_init_fn=source.worker_init_fn,
                multiprocessing_context=source.multiprocessing_context,
            )
        elif number is not None:
            raise ConfigError(
                f"images={number}: expected a DataLoader with a batch size, of a map-style data "
                "set; other batches, and images that a score function reads itself, are all used: "
                "leave images out"
            )

    def __iter__(self) -> Iterator[Any]:
        if self._cached is not None:
            yield from self._cached
            return
        if not self._fits and self._folder is not None and self._on_disk is None:
            self._keep_on_disk(self._folder)
        if self._on_disk is not None:
            for raw in self._on_disk:
                yield self._prepare(changed(raw, lambda tensor: tensor))
            return
        kept: list[Any] | None = [] if self._fits else None
        found = False
        for raw in self._batches:
            found = True
            batch = self._prepare(raw)
            if kept is not None:
                kept.append(batch)
                if len(kept) * _size(batch) > self._max_cached_bytes:
                    kept, self._fits = None, False
            yield batch
        if not found:
            raise ConfigError("expected held-out images to score masks on, found none")
        self._cached = kept

    def _keep_on_disk(self, folder: Path) -> None:
        """Read all batches and keep them on the disk, if it has the room."""
        try:
            self._on_disk = [on_disk(raw, folder) for raw in self._batches]
        except OSError as error:
            self._folder = None
            print_log(
                f"{folder}: held-out images do not fit on the disk ({error.strerror}) and are read "
                "anew in each step; free some space, or score fewer by search.images",
                logger="current",
                level=logging.WARNING,
            )


def _is_readable_in_any_order(source: Any) -> TypeGuard[DataLoader]:
    """Whether a source is a data loader of a map-style data set, in batches of one size."""
    return (
        isinstance(source, DataLoader)
        and not isinstance(source.dataset, IterableDataset)
        and source.batch_size is not None
    )


def _places(source: DataLoader) -> list[Any]:
    """Places of the images in the data set, in the order in which they are read."""
    dataset, sampler = cast(Any, source.dataset), source.sampler
    if isinstance(sampler, Sampler):
        chosen = getattr(sampler, "indices", None)  # mmengine's InfiniteSampler's never end
        places = list(chosen if isinstance(chosen, Collection) else range(len(dataset)))
    else:
        places = list(sampler)
    if getattr(dataset, "in_drawn_order", False):
        return places
    order = torch.randperm(len(places), generator=torch.Generator().manual_seed(0))
    return [places[number] for number in order.tolist()]


def _in_batches(
    places: list[Any], size: int, number: int | None, join_single: bool
) -> list[list[Any]]:
    """Places of the images in the data set, in whole batches."""
    available = len(places)
    batches = [places[i : i + size] for i in range(0, available, size)]
    if join_single:
        if len(batches) > 1 and len(batches[-1]) == 1:
            batches[-2:] = [batches[-2] + batches[-1]]
            print_log(
                f"{available} held-out images in batches of {size} leave one image over: it joins "
                "the batch before it, since BatchNorm would normalise it by itself",
                logger="current",
            )
        if batches and len(batches[0]) == 1:
            raise ConfigError(
                "batches are normalised by their own statistics: expected at least 2 held-out "
                f"images per batch, found {available} in batches of {size}; set "
                "val_dataloader.batch_size"
            )
    return batches[: math.ceil((number or available) / size)]


def _size(batch: Any) -> int:
    """Bytes of the largest tensor in a batch, which are the images."""
    return max((t.nbytes for t in tree_leaves(batch) if isinstance(t, Tensor)), default=0)
