"""Published weights by name: downloaded once, and then a checkpoint file like any other."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from urllib.error import URLError

import torch
from torchvision import models

from ean_transfer.errors import CheckpointError


def _torchvision_url(name: str) -> str | None:
    if name not in models.list_models():
        return None
    return models.get_model_weights(name).DEFAULT.url


def _mmpretrain_url(name: str) -> str | None:
    from mmpretrain.apis.model import ModelHub  # late: it reads all of its model index

    try:
        return ModelHub.get(name).weights
    except ValueError:
        return None


def _mmpretrain_names() -> list[str]:
    from mmpretrain import list_models

    return list_models()


# Library -> the address of its weights by name, and all of its names.
_SOURCES: dict[str, tuple[Callable[[str], str | None], Callable[[], list[str]]]] = {
    "torchvision": (_torchvision_url, models.list_models),
    "mmpretrain": (_mmpretrain_url, _mmpretrain_names),
}


def weights_file(source: str | os.PathLike[str]) -> Path:
    """The file of ``torchvision:NAME`` or ``mmpretrain:NAME``; any other path as it is.

    Downloads go into torch hub's own folder, and are compared with the hash in their names.

    Args:
        source: E.g. ``torchvision:resnet50`` (torchvision's best weights of that name),
            ``mmpretrain:resnet50_8xb32_in1k``, or a path.

    Raises:
        CheckpointError: There are no weights of that name, or they cannot be downloaded.
    """
    library, _, name = os.fspath(source).partition(":")
    if library not in _SOURCES:
        return Path(source)
    url_of, names = _SOURCES[library]
    url = url_of(name)
    if not url:
        near = difflib.get_close_matches(name, names(), n=3, cutoff=0.4)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise CheckpointError(f"{source}: {library} has no weights of that name{hint}")
    file = Path(torch.hub.get_dir()) / "checkpoints" / url.rsplit("/", 1)[-1]
    if file.exists():
        return file
    file.parent.mkdir(parents=True, exist_ok=True)
    digest = re.search(r"-([0-9a-f]{8,})\.", file.name)
    try:
        torch.hub.download_url_to_file(url, str(file), digest and digest[1])
    except (URLError, OSError, RuntimeError) as error:
        raise CheckpointError(
            f"{source}: cannot be downloaded from {url} ({error}): download it by hand to {file}"
        ) from None
    return file
