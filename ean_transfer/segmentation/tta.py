"""Test-time augmentation of segmentation: an image is tested at several sizes, and mirrored."""

from __future__ import annotations

import copy
from typing import Any

from mmengine.config import Config
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

    Training and validation stay as they are, but for the model: call it before a test only.

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
    loader["dataset"]["pipeline"] = cfg.tta_pipeline
    cfg.test_dataloader = loader
    # The runner gives the config's data_preprocessor to a model that says nothing of one; here it
    # would replace the segmentor's.
    cfg.model = {"data_preprocessor": None, **cfg.tta_model, "module": cfg.model}
