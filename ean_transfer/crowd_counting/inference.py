"""Counting the objects in your own images with a trained counter."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from ean_transfer.crowd_counting.model import DensityCounter
from ean_transfer.crowd_counting.places import Region, count_in, peak_points, read_regions
from ean_transfer.crowd_counting.points import Points
from ean_transfer.engine.inference import Predictor, Setting
from ean_transfer.engine.results import Judgement, Prediction
from ean_transfer.visualization.density import draw_density, draw_regions
from ean_transfer.visualization.picture import Picture


@dataclass(frozen=True)
class Count(Prediction):
    """The number of objects in an image, and where they are.

    Attributes:
        count: Number of objects, the sum of the density.
        density: (h, w) float32, objects per cell.
        size: (H, W) of the image in pixels.
        cell: Height and width of a cell, in pixels of the image.
        regions: Name -> region that is counted by itself, in pixels of the image.
        with_points: Whether pictures show the points.
    """

    files = {"picture": ".png"}

    count: float
    density: npt.NDArray[np.float32]
    size: tuple[int, int]
    cell: tuple[float, float]
    regions: Mapping[str, Region] = field(default_factory=dict)
    with_points: bool = False

    @cached_property
    def points(self) -> Points:
        """Objects as (N, 2) of (x, y) in pixels, the clearest first: the peaks of the density."""
        return peak_points(self.density, self.count, self.cell, self.size)

    @cached_property
    def counts_in_regions(self) -> dict[str, float]:
        """Number of objects in each region."""
        return {
            name: count_in(self.density, region, self.cell, self.size)
            for name, region in self.regions.items()
        }

    def text(self) -> str:
        """The count, and that of each region."""
        parts = [f"{name} {count:.1f}" for name, count in self.counts_in_regions.items()]
        return f"{self.count:.1f}" + (f" ({', '.join(parts)})" if parts else "")

    def entries(self) -> dict[str, Any]:
        entries: dict[str, Any] = {"count": round(self.count, 3)}
        if self.regions:
            counts = self.counts_in_regions
            entries["regions"] = {name: round(count, 3) for name, count in counts.items()}
        return entries

    def overlay(self, image: Picture) -> Picture:
        return self._drawn(image)

    def draw(self, image: Picture) -> Picture:
        """The density as a heat map, and the count below."""
        return self._drawn(image, pred=self.count)

    def _drawn(self, image: Picture, pred: float | None = None) -> Picture:
        points = self.points if self.with_points else None
        picture = draw_density(image, self.density, points, pred=pred, cell=self.cell)
        return draw_regions(picture, self.regions, picture.shape[1] / image.shape[1])


class CrowdCounter(Predictor[Count]):
    """A trained counter that takes image files or arrays.

    Args:
        model: See :class:`~ean_transfer.engine.inference.Predictor`.
        setting: The same.
        regions: File of regions that are counted by themselves, see
            :func:`~ean_transfer.crowd_counting.places.read_regions`.
        points: Whether the objects' points are listed, and shown in pictures.

    Raises:
        DataError: The regions cannot be read.
    """

    kind = DensityCounter
    result = Count
    options = ("tiles", "regions", "points")
    table = "counts.json"
    judged = "true points | density"
    done = "counted; pictures and counts.json"

    def __init__(
        self,
        model: Any,
        setting: Setting,
        regions: str | os.PathLike[str] | None = None,
        points: bool = False,
    ) -> None:
        super().__init__(model, setting)
        self.regions = {} if regions is None else read_regions(regions)
        self.points_table = "points.csv" if points else None

    def read(self, sample: Any) -> Count:
        density = sample.pred_density.float().cpu().numpy()
        height, width = sample.get("ori_shape", sample.img_shape)[:2]
        # Of the network's input; the last cells reach beyond it where the stride divides no side.
        rows, columns = (side / sample.pred_stride for side in sample.img_shape[:2])
        cell = (height / rows, width / columns)
        size = (height, width)
        with_points = self.points_table is not None
        return Count(sample.pred_count, density, size, cell, self.regions, with_points)

    def judge(self, sample: Any) -> Judgement | None:
        """By the difference of the counts."""
        truth = sample.get("gt_count")
        if truth is None:
            return None
        text = f"true {truth:g}, counted {sample.pred_count:.1f}"
        return Judgement(abs(sample.pred_count - truth), text)

    def draw_judged(self, sample: Any, image: Picture) -> Picture:
        """The true points on the left, the density on the right."""
        points = sample.gt_points.cpu().numpy()
        density = sample.pred_density.float().cpu().numpy()
        cell = (sample.pred_stride, sample.pred_stride)
        return draw_density(image, density, points, cell=cell, side_by_side=True)
