"""What a score is: open this to score masks by another metric, or on another task.

A :class:`Scorer` runs a network on a batch of images and returns one row of numbers per image. An
:class:`Outcome` holds the rows of one mask on all images, so that two masks can be compared image
by image; a :class:`Score` is their summary.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from ean_transfer.errors import ConfigError
from ean_transfer.supernet.batches import (
    as_the_model_takes,
    image_of,
    inputs_and_targets,
    is_one_for_all,
    mean_loss,
)


@dataclass(frozen=True)
class Metric:
    """What a network is good at: a number for a set of images, computed from one row per image.

    Args:
        name: Name in configs, constraints, traces and tables, e.g. ``"accuracy"``.
        unit: Unit of its values and differences, e.g. ``"points"``.
        higher_is_better: Whether a good network has a high value.
        worst: Value of a network that has learned nothing; the lower bound of rewards. By default
            there is none.
        scale: Factor of the mean of the rows.
        reward_scale: Number of reward units in one unit of the metric.
        reward_unit: Unit of rewards.
        decimals: Decimals of its values in files; in tables there are two fewer.
        loss: What the losses are that are scored beside it; by default :data:`LOSS`, a cross
            entropy.
    """

    name: str
    unit: str
    higher_is_better: bool = True
    worst: float = np.inf
    scale: float = 1.0
    reward_scale: float = 1.0
    reward_unit: str = ""
    decimals: int = 4
    loss: Metric | None = None

    def value(self, sums: np.ndarray, images: int) -> np.ndarray:
        """The metric of sets of images.

        Args:
            sums: (..., k) sums of the rows of each set.
            images: Number of images in each set.

        Returns:
            (...) values; here the scaled mean of the rows, which have one column.
        """
        return self.scale * sums[..., 0] / images

    def reward(self, value: float) -> float:
        """A value in units of reward, where higher is better."""
        return (1.0 if self.higher_is_better else -1.0) * self.reward_scale * value


ACCURACY = Metric("accuracy", "points", worst=0.0, scale=100.0, reward_unit="points")
LOSS = Metric(
    "loss",
    "nats",
    higher_is_better=False,
    worst=10.0,  # worse than guessing among 20,000 classes
    reward_scale=100.0,
    reward_unit="hundredths of a nat",
    decimals=6,
)


@dataclass(frozen=True)
class Score:
    """Metric and loss of a mask on the held-out images."""

    metric: float
    loss: float
    images: int


class Difference(NamedTuple):
    """How much one mask's metric is above another's, and the standard error of that."""

    value: float
    error: float


@dataclass(frozen=True)
class Outcome:
    """Result of a mask on each of the held-out images, so that masks can be compared in pairs.

    With several supernets the rows are means over these.

    Attributes:
        rows: (images, k) of float: what the metric is computed from.
        loss: (images,) of float32: the loss on each image.
        metric: The metric.
    """

    rows: np.ndarray
    loss: np.ndarray
    metric: Metric

    @property
    def score(self) -> Score:
        """Metric and mean loss over the images."""
        images = len(self.loss)
        return Score(
            metric=float(self.metric.value(self.rows.sum(axis=0, dtype=np.float64), images)),
            loss=float(self.loss.mean(dtype=np.float64)),
            images=images,
        )

    def difference(self, other: Outcome) -> Difference:
        """The metric above another mask's on the same images, in the metric's unit.

        Most images fare alike under both masks, so the error is far smaller than that of two
        values measured on different images. It is the jackknife's, which for a mean is the
        standard error of the mean of the images' differences (Efron and Tibshirani, "An
        Introduction to the Bootstrap", 1993, chapter 11).
        """
        value = self.score.metric - other.score.metric
        return Difference(value, _standard_error(self._without_one() - other._without_one()))

    def loss_difference(self, other: Outcome) -> Difference:
        """The mean loss above another mask's on the same images."""
        above = self.loss.astype(np.float64) - other.loss
        error = above.std(ddof=1) / np.sqrt(len(above)) if len(above) > 1 else float("nan")
        return Difference(float(above.mean()), float(error))

    def _without_one(self) -> np.ndarray:
        """(images,) the metric over all images but one."""
        sums = self.rows.sum(axis=0, dtype=np.float64) - self.rows
        return self.metric.value(sums, len(self.rows) - 1) if len(self.rows) > 1 else sums[:, 0]


def _standard_error(without_one: np.ndarray) -> float:
    images = len(without_one)
    return float(without_one.std() * np.sqrt(images - 1)) if images > 1 else float("nan")


class Scorer(ABC):
    """Base of what scores a network on held-out images.

    Attributes:
        metric: The metric that the rows make.
        reads_batches: Whether :meth:`rows` scores the batches it is given, so that masks can share
            work; otherwise it is called once per mask, with ``None``.
    """

    metric: Metric
    reads_batches = True

    def prepare(self, model: nn.Module, raw: Any) -> Any:
        """Bring a batch of the data loader to where and how :meth:`rows` reads it, once.

        Here: :func:`as_the_model_takes`.
        """
        return as_the_model_takes(raw, model)

    @abstractmethod
    def rows(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """Run the model, which is in evaluation mode, on a prepared batch.

        Returns:
            The metric's rows, (N,) or (N, k), and the losses (N,).
        """


class ModelScorer(Scorer):
    """Base of scorers of mmengine's models, whose preprocessor prepares the batches."""

    def prepare(self, model: Any, raw: Any) -> dict[str, Any]:
        """Preprocess as for testing: ``inputs`` (N, C, H, W), channels-last, and samples."""
        data: dict[str, Any] = model.data_preprocessor(raw, training=False)
        images = data["inputs"].contiguous(memory_format=torch.channels_last)
        return {**data, "inputs": images}


class LossScorer(Scorer):
    """Scores a plain PyTorch network by a loss: pairs of inputs and targets, one loss per image.

    The outputs and targets of a batch are tensors whose first axis is that of the images, also in
    lists, tuples and dicts; single numbers, texts and ``None`` are the same for all images.

    Args:
        loss: Function of outputs and targets of a batch to its mean loss, such as
            ``torch.nn.functional.cross_entropy``. It is called image by image.
        metric: Metric of :attr:`measure`; the loss itself by default. Unless it says otherwise, its
            loss has no worst value: a squared error, say, may be any number.
        measure: Function of outputs and targets of a batch to the metric's rows (N,) or (N, k).
    """

    def __init__(
        self,
        loss: Callable[[Any, Any], Tensor],
        metric: Metric | None = None,
        measure: Callable[[Any, Any], Tensor] | None = None,
    ) -> None:
        self.loss = loss
        unbounded = replace(LOSS, worst=np.inf)
        metric = metric or unbounded
        self.metric = replace(metric, loss=metric.loss or unbounded)
        self.measure = measure

    def rows(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """The loss on each image.

        Raises:
            ConfigError: The batch is no pair, an output or target cannot be divided into images,
                the loss is not one number, or the model changes its inputs.
        """
        inputs, targets = inputs_and_targets(batch)
        tensors = [leaf for leaf in tree_leaves(inputs) if isinstance(leaf, Tensor)]
        images, versions = len(tensors[0]), _versions(tensors)
        outputs = model(inputs)
        if versions != _versions(tensors):
            raise ConfigError(
                f"{type(model).__name__} changes its inputs in place, so that the next mask would "
                "get others: write e.g. x = x - mean instead of x -= mean in its forward"
            )
        if images > 1 and is_one_for_all(outputs):  # else each image would count as the whole batch
            raise ConfigError(
                f"the loss is computed image by image: expected outputs for each of the {images} "
                "images, found single numbers, as of a network that computes its loss itself: give "
                "a score instead (docs/own_network.md)"
            )
        losses = torch.stack(
            [
                mean_loss(self.loss, image_of(outputs, i, images), image_of(targets, i, images))
                for i in range(images)
            ]
        )
        return losses if self.measure is None else self.measure(outputs, targets), losses


def _versions(tensors: list[Tensor]) -> list[int]:
    # Tensors of inference mode have none.
    return [tensor._version for tensor in tensors if not tensor.is_inference()]


class FunctionScorer(Scorer):
    """Scores a network by a function of the user's, which reads its own data.

    Args:
        function: Function of a network to one number, or to a tensor with one value per validation
            image, always of the same images in the same order; then masks are compared in pairs.
        metric: Name, unit and direction of the score. Its loss is the score, or minus it.
    """

    reads_batches = False

    def __init__(self, function: Callable[[Any], Any], metric: Metric | None = None) -> None:
        self.function = function
        score = metric or Metric("score", "score", decimals=6)  # which may be a share of one
        loss = replace(score, name=LOSS.name, higher_is_better=False, worst=np.inf)
        self.metric = replace(score, loss=loss)

    def rows(self, model: nn.Module, batch: Any) -> tuple[Tensor, Tensor]:
        """The function's values.

        Raises:
            ConfigError: The function returns something else than a number or a tensor (images,).
        """
        found = self.function(model)
        try:
            # On the CPU, since Apple's GPUs have no float64.
            there = found.detach().cpu() if isinstance(found, Tensor) else found
            values = torch.as_tensor(there, dtype=torch.float64)
        except (TypeError, ValueError, RuntimeError):
            values = torch.empty(0, 0)
        if values.ndim > 1 or values.numel() == 0:
            raise ConfigError(
                "the score function: expected a number or a tensor of one value per validation "
                f"image, found {type(found).__name__} {getattr(found, 'shape', '')}".rstrip()
            )
        values = values.reshape(-1)
        return values, -values if self.metric.higher_is_better else values
