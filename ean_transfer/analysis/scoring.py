"""A test metric of many networks, or variants of one, on the same images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.evaluator import Evaluator
from mmengine.registry import DATASETS
from torch import nn
from torch.utils.data import DataLoader, Subset

from ean_transfer.attachment.network import evaluating
from ean_transfer.errors import ConfigError

PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Scorer:
    """A metric on a fixed set of images, for any task's model.

    Attributes:
        batches: What the models' ``test_step`` takes; gone through once for each network.
        images: Number of images in them.
        evaluator: The config's, which knows the data set.
        metric: Name of the metric.
    """

    batches: Iterable[Any]
    images: int
    evaluator: Evaluator
    metric: str

    @torch.inference_mode()
    def __call__(self, model: nn.Module) -> float:
        """The model's metric, in evaluation mode; its mode is put back.

        Raises:
            ConfigError: If there is no such metric.
        """
        step: Any = model.test_step
        with evaluating(model):
            for batch in self.batches:
                self.evaluator.process(data_samples=step(batch), data_batch=batch)
        found = self.evaluator.evaluate(self.images)
        if self.metric not in found:
            raise ConfigError(f"expected a metric of {sorted(found)}, found {self.metric!r}")
        return float(found[self.metric])


def scorer(
    cfg: Config, part: str, metric: str = "accuracy/top1", images: int | None = None, seed: int = 0
) -> Scorer:
    """A config's test metric on one part of its data, without augmentation.

    Args:
        cfg: The config; all parts are read by its test pipeline and measured by its test evaluator.
        part: ``"train"``, ``"val"`` or ``"test"``.
        metric: Name of the metric.
        images: How many, drawn once; kept in memory then. All by default.
        seed: Of the draw.

    Raises:
        ConfigError: If there is no such part, or the validation data are the test data, by which
            nothing may be chosen.
        DataError: If the data cannot be read.
    """
    if part not in PARTS:
        raise ConfigError(f"expected one of {', '.join(PARTS)}, found {part!r}")
    for needed in {part, "test"}:
        if cfg.get(f"{needed}_dataloader") is None or cfg.get("test_evaluator") is None:
            raise ConfigError(f"{cfg.filename}: expected {needed}_dataloader and test_evaluator")
    test = cfg.test_dataloader
    pipeline = _pipeline(test.dataset)
    wanted = _with_pipeline(cfg[f"{part}_dataloader"].dataset, pipeline)
    if part == "val" and wanted == _with_pipeline(test.dataset, pipeline):
        raise ConfigError(
            f"{cfg.filename}: its validation data are the test data, by which nothing may be "
            "chosen; choose on the training data (--choose-on train)"
        )
    dataset = DATASETS.build(wanted)
    size = len(dataset)
    metrics = cfg.test_evaluator if isinstance(cfg.test_evaluator, list) else [cfg.test_evaluator]
    evaluator = Evaluator([_without_files(one) for one in metrics])
    evaluator.dataset_meta = dataset.metainfo
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
    return Scorer(loader if images is None else list(loader), size, evaluator, metric)


def _without_files(metric: Any) -> dict[str, Any]:
    """A metric's config that writes nothing: these are not the test's results."""
    return {key: value for key, value in metric.items() if key not in ("csv_file", "output_dir")}


def _pipeline(dataset: Any) -> Any:
    """The pipeline of a data set's config, or of the one that it wraps."""
    while "pipeline" not in dataset and "dataset" in dataset:
        dataset = dataset["dataset"]
    return dataset["pipeline"]


def _with_pipeline(dataset: Any, pipeline: Any) -> dict[str, Any]:
    if "datasets" in dataset:  # one after another, e.g. VOC's with the additional labels
        return {**dataset, "datasets": [_with_pipeline(d, pipeline) for d in dataset["datasets"]]}
    if "pipeline" not in dataset and "dataset" in dataset:
        return {**dataset, "dataset": _with_pipeline(dataset["dataset"], pipeline)}
    return {**dataset, "pipeline": pipeline}
