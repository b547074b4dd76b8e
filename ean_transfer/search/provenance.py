"""The provenance of a searched ticket: config, data, settings, versions and date."""

from __future__ import annotations

from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import mmengine
import mmpretrain
import torch
from mmengine.runner import Runner

import ean_transfer
from ean_transfer.data.config import innermost


def provenance(runner: Runner, **facts: Any) -> dict[str, Any]:
    """The provenance that a searched ticket's file holds.

    Args:
        runner: Runner of the search.
        **facts: Facts about the search: settings, rules and their scores, number of images ...
    """
    config = getattr(runner.cfg, "filename", None)
    return {
        "config": Path(config).name if config else None,
        "data": type(innermost(runner.val_dataloader.dataset)).__name__,
        **facts,
        "versions": versions(),
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def versions() -> dict[str, str]:
    """Package -> version, of this package and those that results depend on most."""
    return {
        "ean-transfer": ean_transfer.__version__,
        "torch": torch.__version__,
        "mmengine": mmengine.__version__,
        "mmpretrain": mmpretrain.__version__,
    }
