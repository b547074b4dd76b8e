"""Where a searched ticket comes from."""

from __future__ import annotations

import hashlib
import json
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mmengine
import mmpretrain
import torch
from mmengine.config import Config
from mmengine.runner import Runner

import ean_transfer
from ean_transfer.data.config import innermost


def config_hash(config: Any) -> str:
    """The first 16 hex digits of the SHA-256 of a part of a config, dumped or not."""
    text = json.dumps(Config({"part": config}).to_dict(), default=str, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def provenance(runner: Runner, **facts: Any) -> dict[str, Any]:
    """What a searched ticket's file says of its origin.

    Args:
        runner: The search's runner.
        **facts: Of the search: settings, rules and their scores, number of images ...
    """
    config = getattr(runner.cfg, "filename", None)
    return {
        "config": Path(config).name if config else None,
        "data": type(innermost(runner.val_dataloader.dataset)).__name__,
        **facts,
        "versions": {
            "ean-transfer": ean_transfer.__version__,
            "torch": torch.__version__,
            "mmengine": mmengine.__version__,
            "mmpretrain": mmpretrain.__version__,
        },
        "date": datetime.now(timezone.utc).date().isoformat(),
    }
