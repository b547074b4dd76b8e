"""How an image is read and resized for a network, as an exported file says it: plain data.

Only the steps listed here are written and read, each with plain values, so that a stranger's file
can name nothing else.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from mmcv.transforms import Resize
from mmpretrain.datasets.transforms import CenterCrop, ResizeEdge

from ean_transfer.crowd_counting.transforms import LimitSize
from ean_transfer.data.loading import LoadImage
from ean_transfer.registry import type_name

_STEPS: dict[str, type] = {
    "Resize": Resize,
    "ResizeEdge": ResizeEdge,
    "CenterCrop": CenterCrop,
    "LimitSize": LimitSize,
    "LoadImage": LoadImage,
}
_WITHOUT_EFFECT = ("Load", "Pack", "CheckedAnnotations")
"""Starts of the names of steps that change no pixel."""


def preparation_text(pipeline: Sequence[Any] | None) -> str | None:
    """A test pipeline's steps as JSON; ``None`` without one, or if a step is not known here."""
    if pipeline is None:
        return None
    steps = []
    for step in pipeline:
        name = str(type_name(step["type"]))
        if name.startswith(_WITHOUT_EFFECT):
            if step.get("exif") == "ignore":  # else images are turned, as viewers show them
                steps.append({"type": "LoadImage", "exif": "ignore"})
            continue
        plain = {key: value for key, value in step.items() if key != "type"}
        try:
            steps.append({"type": name, **json.loads(json.dumps(plain))})
        except TypeError:  # a value that is a class
            return None
        if name not in _STEPS:
            return None
    return json.dumps(steps)


def preparation_steps(text: str) -> list[dict[str, Any]]:
    """The pipeline steps that a file's JSON stands for; those that are not known are left out."""
    steps = []
    for step in json.loads(text):
        if step.get("type") in _STEPS:
            values = {key: tuple(v) if isinstance(v, list) else v for key, v in step.items()}
            steps.append({**values, "type": _STEPS[step["type"]]})
    return steps
