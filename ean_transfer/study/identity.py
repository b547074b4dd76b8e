"""Records which run a study folder belongs to, and refuses to resume another one there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from ean_transfer.engine.config import config_hash
from ean_transfer.errors import ConfigError
from ean_transfer.io.files import write_atomically

_FILE = "run.json"
# Results that are not computed again, and checkpoints that an unfinished training resumes from.
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
    attention: Mapping[str, Any] | None = None,
    weights: str | None = None,
    start: str | None = None,
) -> str:
    """Twelve hex digits that tell one training from another, whatever the ticket.

    Args:
        cfg: The training's config, before an arm is set in it.
        seed: The training's seed.
        attention: The study's attention, in place of the config's.
        weights: The path in the study's plan of the weights that it starts from.
        start: The digest of the training whose weights it starts from.
    """
    # Text within the data, and no entry without a start: digests on disk were made in this way.
    text = None if attention is None else json.dumps(attention, default=str)
    parts = [cfg.to_dict(), text, weights, seed, *([] if start is None else [start])]
    return config_hash(parts)[:12]


def write_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Record in a folder which run begins there."""
    folder.mkdir(parents=True, exist_ok=True)
    write_atomically(folder / _FILE, json.dumps(identity, indent=2) + "\n")


def require_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another run, finished or not.

    Raises:
        ConfigError: The folder belongs to another run, or nothing says which.
    """
    if not any((folder / name).exists() for name in _BEGUN):
        return  # nothing was written yet, so any run may start here
    # Runs finished before there was such a file have it all in their results.
    files = [file for file in (folder / _FILE, folder / "metrics.json") if file.exists()]
    recorded = json.loads(files[0].read_text(encoding="utf-8")) if files else {}
    for key, now in identity.items():
        if (before := recorded.get(key, "unknown")) != now:
            raise ConfigError(
                f"{folder}: was done with another {_MEANING[key]} ({key} {before}, the study now "
                f"has {now}): choose another --work-dir, or remove the folder to do it anew"
            )
