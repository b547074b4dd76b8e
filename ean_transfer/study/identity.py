"""What is done in a folder of a study, so that nothing else is gone on with or taken for it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically

_FILE = "run.json"
# Results that are not computed again, and what an unfinished training is resumed from.
_BEGUN = ("metrics.json", "ticket.json", "last_checkpoint", "supernet/last_checkpoint")
_MEANING = {
    "ticket_id": "ticket",
    "seed": "seed",
    "config_digest": "config, attention, weights or start",
}


def config_digest(
    cfg: Config,
    *,
    seed: int | None,
    attention: str | None = None,
    weights: str | None = None,
    start: str | None = None,
) -> str:
    """Twelve hex digits that tell one training from another, the ticket apart.

    Args:
        cfg: Its config.
        seed: It is trained with.
        attention: A study's, as JSON, instead of the config's.
        weights: The path that a study gives for the weights it starts from.
        start: The digest of the training whose weights it starts from.
    """
    what = [cfg.to_dict(), attention, weights, seed, *([] if start is None else [start])]
    return hashlib.sha256(json.dumps(what, default=str, sort_keys=True).encode()).hexdigest()[:12]


def write_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Note what is going to be done in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _FILE, json.dumps(identity, indent=2) + "\n")


def require_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Make sure that what a folder holds, finished or not, is what is to be done there.

    Raises:
        ConfigError: If it is something else, or nothing tells what it is.
    """
    if not any((folder / name).exists() for name in _BEGUN):
        return  # a start that failed, in a config since corrected, binds nobody
    # Finished runs from before there was such a file have it all in their results.
    files = [file for file in (folder / _FILE, folder / "metrics.json") if file.exists()]
    found = json.loads(files[0].read_text(encoding="utf-8")) if files else {}
    for key, now in identity.items():
        if (before := found.get(key, "unknown")) != now:
            raise ConfigError(
                f"{folder}: was done with another {_MEANING[key]} ({key} {before}, the study now "
                f"has {now}): choose another --work-dir, or remove the folder to do it anew"
            )
