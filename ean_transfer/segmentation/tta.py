"""Test-time augmentation for segmentation: each image is tested at several sizes, and mirrored."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.models import SegTTAModel

from ean_transfer.errors import ConfigError


@MODELS.register_module()
class SegmentationTTA(SegTTAModel):
    """mmseg's ``SegTTAModel``, which averages class probabilities, with the segmentor's state dict.

    It has no weights of its own, so it loads the segmentor's checkpoints.

    Args:
        module: The segmentor, or its config.
    """

    def merge_preds(self, data_samples_list: list[list[Any]]) -> list[Any]:
        """Average the versions of each image."""
        merged: list[Any] = super().merge_preds(data_samples_list)
        if self.module.out_channels == 1:
            # The segmentor has made probabilities of its one output. mmseg takes their sigmoid,
            # which is above 0.5 everywhere.
            for sample, versions in zip(merged, data_samples_list, strict=True):
                scores = torch.stack([version.seg_logits.data for version in versions]).mean(dim=0)
                predicted = (scores > self.module.decode_head.threshold).to(scores)
                sample.pred_sem_seg = PixelData(data=predicted)
        return merged

    def state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """The segmentor's state dict; mmengine loads a checkpoint into the segmentor as well."""
        return self.module.state_dict(*args, **kwargs)


def set_tta(cfg: Config) -> None:
    """Set the test to the config's ``tta_pipeline`` and its ``tta_model`` around the model.

    Call it before a test only: it changes the model of training and validation too. Where the test
    resizes to a ``scale``, each ``scale_factor`` of ``tta_pipeline`` is relative to that scale;
    elsewhere it is relative to the image's own size.

    Raises:
        ConfigError: The config has no such model or pipeline, or several test sets in one.
    """
    # A copy, since the test loader is often the validation loader itself.
    loader = copy.deepcopy(cfg.get("test_dataloader") or {})
    needed = {
        "tta_model": cfg.get("tta_model"),
        "tta_pipeline": cfg.get("tta_pipeline"),
        "test_dataloader.dataset.pipeline": loader.get("dataset", {}).get("pipeline"),
    }
    if missing := " and no ".join(name for name, value in needed.items() if not value):
        raise ConfigError(
            f"{cfg.filename}: --tta needs {', '.join(needed)}, found no {missing}; let the config "
            "read _base_/segmentation_tta.py and test one data set at a time"
        )
    pipeline = cfg.tta_pipeline
    if resize := next((step for step in loader["dataset"]["pipeline"] if "scale" in step), None):
        pipeline = _resized_as_in_test(pipeline, resize)
    loader["dataset"]["pipeline"] = pipeline
    cfg.test_dataloader = loader
    # The runner gives the config's data_preprocessor to a model that does not mention one; here
    # that would replace the segmentor's.
    cfg.model = _with(cfg.tta_model, module=cfg.model)
    cfg.model.setdefault("data_preprocessor", None)


def _resized_as_in_test(steps: Sequence[Any], resize: ConfigDict) -> list[Any]:
    """Nested steps in which every ``scale_factor`` became the test's resizing, times the factor."""
    changed: list[Any] = []
    for step in steps:
        if isinstance(step, Sequence):
            step = _resized_as_in_test(step, resize)
        elif "transforms" in step:
            step = _with(step, transforms=_resized_as_in_test(step["transforms"], resize))
        elif "scale_factor" in step:
            scale = np.broadcast_to(np.multiply(resize["scale"], step["scale_factor"]), 2)
            step = _with(resize, scale=tuple(np.rint(scale).astype(int).tolist()))
        changed.append(step)
    return changed


def _with(part: ConfigDict, **changes: Any) -> ConfigDict:
    # Not `{**part}`, which would turn lazy references to classes into the classes themselves, and
    # those cannot be written to the config's file.
    changed = copy.deepcopy(part)
    changed.update(changes)
    return changed
