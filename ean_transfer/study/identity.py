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
from ean_transfer.io.records import read_record, with_checksum
from ean_transfer.study.apart import FAILURE

RUN = "run.json"
"""The file that says which run a folder belongs to."""
# Results that are not computed again, and checkpoints that an unfinished training resumes from.
_BEGUN = (
    "metrics.json",
    "ticket.json",
    "last_checkpoint",
    "*.pth",
    "supernet*/last_checkpoint",
    "supernet*/*.pth",
)
RESULTS = "metrics.json"
"""The file by which a run is known as done."""
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
    """Record in a folder which run begins there; what it says of an earlier failure is over."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FAILURE).unlink(missing_ok=True)
    write_atomically(folder / RUN, json.dumps(with_checksum(identity), indent=2) + "\n")


def require_identity(folder: Path, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another run, finished or not.

    Raises:
        ConfigError: The folder belongs to another run, or nothing says which; or what says it is
            torn.
    """
    if not any(True for name in _BEGUN for _ in folder.glob(name)):
        return  # nothing was written yet, so any run may start here
    # A finished run's results say it as well.
    if (folder / RESULTS).exists():
        remedy = f"delete it, {RESULTS} says the same"
    else:
        remedy = (
            f"if it is the study's as that is now, write {json.dumps(identity)} into it; "
            "otherwise remove the folder to do the run anew"
        )
    recorded = read_results(folder) if (folder / RESULTS).exists() else {}
    if (folder / RUN).exists():
        recorded = read_record(folder / RUN, "the run that the folder belongs to", remedy)
    for key, now in identity.items():
        if (before := recorded.get(key, "unknown")) != now:
            raise ConfigError(
                f"{folder}: was done with another {_MEANING[key]} ({key} {before}, the study now "
                f"has {now}): choose another --work-dir, or remove the folder to do it anew"
            )


def read_results(folder: Path) -> dict[str, Any]:
    """Read the metrics and the identity of a finished run.

    Raises:
        ConfigError: The file is torn or was changed.
    """
    remedy = "delete it, and only the run's test is done again"
    return read_record(folder / RESULTS, "a finished run's metrics", remedy, ["metrics"])
