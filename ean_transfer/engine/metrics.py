"""A validation's or a test's metrics: as text, with their units, and which way is better."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any

_PERCENT = (
    *("accuracy", "single-label", "multi-label"),  # mmpretrain's
    *("miou", "aacc", "macc", "mdice", "mfscore", "mprecision", "mrecall"),  # mmseg's
)
_OBJECTS = ("mae", "rmse", "game")
_HIGHER = (*_PERCENT, "iou", "acc", "dice", "fscore", "precision", "recall")
_LOWER = (*_OBJECTS, "mse", "nae", "loss")


def unit_of(name: str) -> str:
    """The unit of a metric, by its name; empty where it has none, or none is known."""
    if name.lower().startswith(_PERCENT):
        return "%"
    return "objects" if name.lower().startswith(_OBJECTS) else ""


def value_text(name: str, value: Any) -> str:
    """A metric's value with its unit; one that is no single number, as a matrix, as it is."""
    value = value.tolist() if hasattr(value, "tolist") else value  # a tensor or an array
    return f"{value:.4g} {unit_of(name)}".rstrip() if isinstance(value, Real) else str(value)


def higher_is_better(name: str) -> bool | None:
    """Whether a good network has a high value of a metric, by its name; ``None``: not known."""
    if name.lower().startswith(_LOWER):
        return False
    return True if name.lower().startswith(_HIGHER) else None


def metrics_text(metrics: Mapping[str, Any]) -> str:
    """``accuracy/top1 51.1 %, ...``: all metrics that are single numbers."""
    return ", ".join(
        f"{name} {value_text(name, value)}"
        for name, value in metrics.items()
        if isinstance(value, Real)
    )
