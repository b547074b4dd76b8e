"""Whether a test's images are those that a ticket was searched with, which would flatter it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.config import Config
from mmengine.registry import DATASETS

from ean_transfer.data.image_names import image_names
from ean_transfer.engine.config import config_hash
from ean_transfer.errors import EANError
from ean_transfer.ticket import Ticket

SEARCHED_WITH = ("val_dataloader", "train_dataloader")
"""A search config's loaders: those of the held-out images and of the supernet's training."""


def loader_images(cfg: Config, loader: str) -> frozenset[str] | None:
    """Names of the images of one of a config's data loaders, whose data set is read.

    Returns:
        ``None`` where they cannot be named, or not be read: the run itself says why.
    """
    dataset = (cfg.get(loader) or {}).get("dataset")
    if not dataset:
        return None
    try:
        names = image_names(DATASETS.build(_undecoded(dataset)))
    except (EANError, OSError, RuntimeError, AssertionError, LookupError, TypeError, ValueError):
        return None
    return None if names is None else frozenset(names)


def _undecoded(config: Any) -> Any:
    """A data set's config, with all parts, so that no image of an ``ImageFolder`` is decoded."""
    if isinstance(config, dict):
        return {key: _undecoded(value) for key, value in config.items() if key != "cache"}
    return [_undecoded(value) for value in config] if isinstance(config, list) else config


def shared_images(
    searched_with: Mapping[str, frozenset[str] | None], tested: frozenset[str] | None
) -> str | None:
    """Say how many of a test's images a search sees, and by which of its loaders.

    Args:
        searched_with: Loader -> its images, see :func:`loader_images`.
        tested: The test's images.

    Returns:
        ``None`` if no image is known to be shared.
    """
    for loader, images in searched_with.items():
        if both := (images or frozenset()) & (tested or frozenset()):
            of = len(tested or ())
            return f"{len(both):,} of {of:,} test images are among those of {loader}"
    return None


def search_settings(provenance: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The settings of the search that a ticket comes from, also if it was picked or carried.

    Args:
        provenance: The ticket's provenance. Commands that make a ticket of another one keep that
            one's provenance within the new one's.

    Returns:
        ``None`` if the ticket comes from no search of this toolkit.
    """
    if isinstance(settings := provenance.get("settings"), Mapping):
        return settings
    within = (search_settings(value) for value in provenance.values() if isinstance(value, Mapping))
    return next((settings for settings in within if settings is not None), None)


def was_searched_on(ticket: Ticket, cfg: Config) -> bool:
    """Whether a ticket's file says that its masks were scored on a config's test images.

    The file has a hash of the held-out images' settings, which tells whether they are the same
    settings, and not which images others have.
    """
    settings = search_settings(ticket.provenance) or {}
    dataset = (cfg.get("test_dataloader") or {}).get("dataset")
    return settings.get("held_out_sha256") == config_hash({"part": dataset})
