"""The metric of counting: errors of the counts and of where objects are counted."""

from __future__ import annotations

import csv
import io
import logging
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from mmengine.registry import METRICS

from ean_transfer.crowd_counting.points import as_points
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Natural, checked_arguments
from ean_transfer.io.files import write_atomically

GRID_KEYS = ("pred_density", "pred_stride", "gt_points", "img_shape")
"""Fields of a sample that GAME needs."""


@dataclass(frozen=True)
class ImageResult:
    """One image's counts.

    Attributes:
        image: Path or index in the data set; None if the sample has neither.
        predicted: Predicted count.
        true: Number of points; None for an image without labels.
        grid_errors: One for each game level above 0; None if they could not be computed.
    """

    image: str | None
    predicted: float
    true: float | None
    grid_errors: tuple[float, ...] | None

    @property
    def error(self) -> float | None:
        """Predicted minus true count."""
        return None if self.true is None else self.predicted - self.true


@METRICS.register_module()
class CountingMetric(BaseMetric):
    """``MAE``, ``RMSE``, ``NAE`` and ``GAME0`` ... ``GAME3`` over the images whose truth is known.

    - MAE = mean |predicted - true|;
    - RMSE = sqrt(mean (predicted - true)^2), which the papers of the field print as "MSE";
    - NAE = mean |predicted - true| / true over the images with at least one point, NaN if no
      image has one (Wang et al., "NWPU-Crowd", TPAMI 2020);
    - GAME(L) = mean of :func:`grid_error` at level L, which also sees objects that are counted in
      the wrong place (Guerrero-Gomez-Olmedo et al., "Extremely Overlapping Vehicle Counting",
      IbPRIA 2015). GAME(0) is the MAE, and GAME never decreases with L.

    The true count is the number of points, never the sum of a density map. Images without a true
    count are in no mean; if no image has one, the result is empty. GAME above level 0 needs the
    predicted map, its stride (``pred_stride``, a meta field that the model sets, since the sizes of
    map and image do not determine it) and the points; unless every image with a true count has
    them, it is left out, with one warning.

    Select checkpoints by a part of the training set with
    ``CheckpointHook(save_best="MAE", rule="less")``: the hook cannot guess the rule.

    Args:
        game_levels: The levels L of GAME; the image is cut into 4^L regions.
        csv_file: File for a table of the images, in the order of the data set (if its sampler does
            not shuffle): image, true and predicted count, error (predicted - true) and the grid
            error of each level above 0. Unknown values are left empty. Each evaluation replaces the
            file.
        **kwargs: Arguments of mmengine's ``BaseMetric``: ``collect_device``, ``prefix``, ...

    Raises:
        ConfigError: ``game_levels`` are not whole numbers from 0.
    """

    default_prefix = None

    @checked_arguments
    def __init__(
        self,
        game_levels: Sequence[Natural] = (0, 1, 2, 3),
        csv_file: str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.game_levels = tuple(sorted(set(game_levels)))
        self.csv_file = None if csv_file is None else Path(csv_file)
        self._warned = False

    @property
    def grid_levels(self) -> tuple[int, ...]:
        """The game levels whose regions are smaller than the image."""
        return tuple(level for level in self.game_levels if level > 0)

    def process(self, data_batch: Any, data_samples: Sequence[dict]) -> None:
        """Keep the counts and grid errors of each image.

        Args:
            data_batch: Unused.
            data_samples: :class:`CountingDataSample` as dicts, with ``pred_count`` and, where they
                are known, ``gt_count``, ``gt_points``, ``pred_density``, ``pred_stride``,
                ``img_shape``, ``img_path`` and ``sample_idx``.

        Raises:
            ConfigError: A ``pred_density`` has not the size that its stride implies.
        """
        for sample in data_samples:
            image, true = sample.get("img_path", sample.get("sample_idx")), sample.get("gt_count")
            self.results.append(
                ImageResult(
                    image=None if image is None else str(image),
                    predicted=float(sample["pred_count"]),
                    true=None if true is None else float(true),
                    grid_errors=None if true is None else self._grid_errors(sample),
                )
            )

    def compute_metrics(self, results: list[ImageResult]) -> dict[str, float]:
        """Write the table, and return the means over the images of all ranks."""
        if self.csv_file is not None:
            self.csv_file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.csv_file, self._table(results))
        known = [result for result in results if result.true is not None]
        if not known:
            print_log(
                f"CountingMetric: none of {len(results)} images has a true count, so there are no "
                "errors to report",
                logger="current",
            )
            return {}
        errors = np.array([result.error for result in known])
        true = np.array([result.true for result in known])
        metrics = {
            "MAE": _mean(np.abs(errors)),
            "RMSE": math.sqrt(_mean(errors**2)),
            "NAE": _mean(np.abs(errors[true > 0]) / true[true > 0]),
        }
        if 0 in self.game_levels:
            metrics["GAME0"] = metrics["MAE"]
        grid_errors = [result.grid_errors for result in known if result.grid_errors is not None]
        # All means are over the same images: GAME of a part of them would not compare with the MAE.
        if len(grid_errors) == len(known):
            for level, column in zip(self.grid_levels, zip(*grid_errors, strict=True), strict=True):
                metrics[f"GAME{level}"] = _mean(column)
        return metrics

    def _grid_errors(self, sample: Mapping[str, Any]) -> tuple[float, ...] | None:
        missing = [key for key in GRID_KEYS if sample.get(key) is None]
        if missing:
            if self.grid_levels and not self._warned:
                self._warned = True
                print_log(
                    f"CountingMetric: GAME above level 0 needs {', '.join(GRID_KEYS)} in every "
                    f"sample, found no {', '.join(missing)}, and is left out; pass "
                    "game_levels=(0,) to leave it out on purpose",
                    logger="current",
                    level=logging.WARNING,
                )
            return None
        density = torch.as_tensor(sample["pred_density"]).cpu().numpy()
        points = torch.as_tensor(sample["gt_points"]).cpu().numpy()
        stride = sample["pred_stride"]
        height, width = sample["img_shape"][:2]
        expected = (math.ceil(height / stride), math.ceil(width / stride))
        if density.shape != expected:
            raise ConfigError(
                f"CountingMetric: expected {expected} cells in a map of stride {stride} of "
                f"{sample.get('img_path', 'an image')} ({height}x{width}), found {density.shape}; "
                "correct the pred_stride that the model sets"
            )
        return tuple(
            grid_error(density, points, (height, width), stride, level)
            for level in self.grid_levels
        )

    def _table(self, results: list[ImageResult]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        games = [f"GAME{level}" for level in self.grid_levels]
        writer.writerow(["image", "true", "predicted", "error", *games])
        for row, result in enumerate(results):
            name = row if result.image is None else result.image
            grid_errors = result.grid_errors or [None] * len(games)  # None gives an empty field
            writer.writerow([name, result.true, result.predicted, result.error, *grid_errors])
        return text.getvalue()


def grid_error(
    density: npt.ArrayLike,
    points: npt.ArrayLike,
    image_size: tuple[int, int],
    stride: int,
    level: int,
) -> float:
    """Sum of |predicted - true count| over 2^level x 2^level equal regions of the image.

    The edges of regions may lie within cells or pixels: a cell's density is taken as uniform over
    its area within the image, and each region gets its share of the area.

    Args:
        density: (ceil(H / stride), ceil(W / stride)), objects per cell. Where the stride does not
            divide the image, the last row and column of cells are cut by its edge.
        points: (N, 2) of (x, y) in pixels, see :mod:`ean_transfer.crowd_counting.points`.
        image_size: (H, W) in pixels.
        stride: Pixels per cell.
        level: 0 for the whole image, 1 for its quarters, ...
    """
    regions = 2**level
    height, width = image_size
    rows, columns = (_cell_shares(size, stride, regions) for size in image_size)
    predicted = rows @ np.asarray(density, dtype=np.float64) @ columns.T

    # From here on a coordinate is a distance from the image's edge: a whole x is a pixel's centre.
    x, y = as_points(points).astype(np.float64).T + 0.5
    # A point at x = W, half a pixel outside, belongs to the last region.
    column = np.clip(np.floor(x * regions / width), 0, regions - 1).astype(np.intp)
    row = np.clip(np.floor(y * regions / height), 0, regions - 1).astype(np.intp)
    true = np.bincount(row * regions + column, minlength=regions**2).reshape(regions, regions)
    return float(np.abs(predicted - true).sum())


def _cell_shares(size: int, stride: int, regions: int) -> npt.NDArray[np.float64]:
    """The share of each cell's length in each region of an axis, (regions, cells)."""
    cells = np.minimum(np.arange(math.ceil(size / stride) + 1) * stride, size)
    edges = np.arange(regions + 1)[:, None] * size / regions
    overlap = np.minimum(edges[1:], cells[1:]) - np.maximum(edges[:-1], cells[:-1])
    return np.maximum(overlap, 0) / np.diff(cells)


def _mean(values: npt.ArrayLike) -> float:
    """The mean; NaN for no values, without NumPy's warning."""
    array = np.asarray(values, dtype=np.float64)
    return math.fsum(array) / len(array) if len(array) else math.nan
