"""A test metric of several networks, or of variants of one, on the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS
from torch import nn
from torch.utils.data import DataLoader, Subset

from ean_transfer.attachment.network import evaluating
from ean_transfer.data.config import innermost, require_parts
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Positive, checked_arguments

Part = Literal["train", "val", "test"]


@dataclass(frozen=True)
class ImageMetric:
    """A test metric on a fixed set of images; call it with the model of any task.

    Attributes:
        batches: Inputs of the models' ``test_step``; iterated once per model.
        images: Number of images in the batches.
        evaluator: The config's evaluator, which knows the data set.
        metric: Name of the metric.
    """

    batches: Iterable[Any]
    images: int
    evaluator: Evaluator
    metric: str

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> float:
        """The model's metric in evaluation mode; afterwards its mode is restored.

        Raises:
            ConfigError: The evaluator has no such metric.
        """
        step: Any = model.test_step
        with evaluating(model):
            for batch in self.batches:
                self.evaluator.process(data_samples=step(batch), data_batch=batch)
        metrics = self.evaluator.evaluate(self.images)
        if self.metric not in metrics:
            raise ConfigError(f"expected a metric of {sorted(metrics)}, found {self.metric!r}")
        return float(metrics[self.metric])


@checked_arguments
def metric_on(
    cfg: Config,
    part: Part,
    metric: str = "accuracy/top1",
    images: Positive | None = None,
    seed: int = 0,
) -> ImageMetric:
    """A config's test metric on one part of its data, without augmentation.

    Args:
        cfg: The config; its test pipeline and test evaluator serve all parts.
        part: The part of the data.
        metric: Name of the metric.
        images: Number of images, drawn once and kept in memory; by default all, read again for
            each model.
        seed: Seed of the draw of images.

    Raises:
        ConfigError: The config lacks the part, or its validation data are the test data, by which
            nothing may be chosen.
        DataError: The data cannot be read.
    """
    require_parts(cfg, f"{part}_dataloader", "test_dataloader", "test_evaluator")
    test = cfg.test_dataloader
    pipeline = innermost(test.dataset)["pipeline"]
    wanted = _with_pipeline(cfg[f"{part}_dataloader"].dataset, pipeline)
    if part == "val" and wanted == _with_pipeline(test.dataset, pipeline):
        raise ConfigError(
            f"{cfg.filename}: its validation data are the test data, by which nothing may be "
            "chosen; choose on the training data (--choose-on train)"
        )
    with config_errors(cfg):
        dataset = DATASETS.build(wanted)
    size = len(dataset)
    metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    measured = [one for one in metrics if "out_file_path" not in one]  # mmengine's DumpResults
    with config_errors(cfg):
        evaluator = Evaluator([_without_files(one) for one in measured])
    evaluator.dataset_meta = dataset.metainfo  # a runner would set it
    subset: Any = dataset
    if images is not None and images < size:
        chosen = np.random.default_rng(seed).permutation(size)[:images]
        subset, size = Subset(dataset, chosen.tolist()), images
    loader = DataLoader(
        subset,
        batch_size=test.batch_size,
        num_workers=test.get("num_workers", 0),
        collate_fn=pseudo_collate,
    )
    # A few images are read once; all of them may not fit into memory.
    return ImageMetric(loader if images is None else list(loader), size, evaluator, metric)


def _without_files(metric: Any) -> dict[str, Any]:
    """A metric's config without the files that it writes: these are not the test's results."""
    return {key: value for key, value in metric.items() if key not in ("csv_file", "output_dir")}


def _with_pipeline(dataset: Any, pipeline: Any) -> dict[str, Any]:
    """A data set's config, and those within it, with another pipeline."""
    if "datasets" in dataset:  # one after another, e.g. VOC's with the additional labels
        return {**dataset, "datasets": [_with_pipeline(d, pipeline) for d in dataset["datasets"]]}
    if "pipeline" not in dataset and "dataset" in dataset:
        return {**dataset, "dataset": _with_pipeline(dataset["dataset"], pipeline)}
    return {**dataset, "pipeline": pipeline}
