"""Test-time augmentation of segmentation: an image is tested at several sizes, and mirrored."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmseg.models import SegTTAModel

from ean_transfer.errors import ConfigError


@MODELS.register_module()
class SegmentationTTA(SegTTAModel):
    """mmseg's: the mean of the class probabilities of all augmented versions of an image.

    It has no weights of its own, and its state dict is the model's, whose checkpoints it takes.

    Args:
        module: The segmentor, or its config.
    """

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The segmentor's; mmengine loads a checkpoint into the segmentor as well."""
        return self.module.state_dict(*args, **kwargs)


def set_tta(cfg: Config) -> None:
    """Test with augmentation: the config's ``tta_model`` around its model, and ``tta_pipeline``.

    Training and validation stay as they are, but for the model: call it before a test only. Where
    the test resizes to a ``scale``, each ``scale_factor`` of ``tta_pipeline`` becomes the test's
    own resizing to so many times that scale; elsewhere it is of the image in its file.

    Raises:
        ConfigError: If the config has no such model or pipeline, or several test sets in one.
    """
    file = cfg.filename or "the config"
    if missing := [key for key in ("tta_model", "tta_pipeline") if not cfg.get(key)]:
        raise ConfigError(
            f"{file}: --tta needs tta_model and tta_pipeline, found no {' and no '.join(missing)}: "
            "let the config read _base_/segmentation_tta.py"
        )
    loader = copy.deepcopy(cfg.get("test_dataloader") or {})  # often the validation's own
    if "pipeline" not in loader.get("dataset", {}):
        raise ConfigError(
            f"{file}: --tta replaces test_dataloader.dataset.pipeline, but the config has none: "
            "test one data set at a time"
        )
    pipeline = cfg.tta_pipeline
    if resize := next((step for step in loader["dataset"]["pipeline"] if "scale" in step), None):
        pipeline = _resized_as_in_test(pipeline, resize)
    loader["dataset"]["pipeline"] = pipeline
    cfg.test_dataloader = loader
    # The runner gives the config's data_preprocessor to a model that says nothing of one; here it
    # would replace the segmentor's.
    cfg.model = _with(cfg.tta_model, module=cfg.model)
    cfg.model.setdefault("data_preprocessor", None)


def _resized_as_in_test(steps: Sequence[Any], resize: ConfigDict) -> list[Any]:
    """Nested transforms, each with a ``scale_factor`` replaced by the test's resizing, scaled."""
    found: list[Any] = []
    for step in steps:
        if isinstance(step, Sequence):
            step = _resized_as_in_test(step, resize)
        elif "transforms" in step:
            step = _with(step, transforms=_resized_as_in_test(step["transforms"], resize))
        elif "scale_factor" in step:
            scale = np.broadcast_to(np.multiply(resize["scale"], step["scale_factor"]), 2)
            step = _with(resize, scale=tuple(np.rint(scale).astype(int).tolist()))
        found.append(step)
    return found


def _with(part: ConfigDict, **changes: Any) -> ConfigDict:
    # Not by **part, which imports a config's classes: as such they are not written to its file.
    changed = copy.deepcopy(part)
    changed.update(changes)
    return changed
