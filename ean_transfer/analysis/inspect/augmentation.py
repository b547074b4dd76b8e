"""Augmented training samples with their labels, to look at before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import set_random_seed
from mmseg.models import BaseSegmentor

from ean_transfer.analysis.inspect.compare import (
    PAIR_SIDE,
    labels_of_sample,
    legend_of,
    require_task,
)
from ean_transfer.crowd_counting import CountingDataSample, DensityCounter, draw_density
from ean_transfer.crowd_counting.points import Points
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.visualization.labels import (
    Picture,
    classes_in,
    draw_segmentation,
)
from ean_transfer.visualization.sheet import Cell, draw_sheet, evenly_spread, fit_picture, joined


def augmentation_sheet(cfg: Config, samples: int = 16, seed: int = 0) -> Picture:
    """What the training pipeline makes of images spread evenly over the training set.

    Segmentation: each as the network gets it, and beside it with its labels' colours, which ignored
    pixels are without; and one legend. Counting: each with rings on its points.

    Args:
        cfg: A config of segmentation or counting.
        samples: How many; an image is drawn again where there are fewer.
        seed: Of Python's, NumPy's and torch's global generators, which are set by it.

    Returns:
        RGB uint8.

    Raises:
        ConfigError: The config is of another task, or ``samples`` is not positive.
        DataError: The training set is not there, or one of its files cannot be read.
    """
    require_task(cfg, {BaseSegmentor: "segmentation", DensityCounter: "counting"})
    if samples < 1:
        raise ConfigError(f"expected a positive number of samples, found {samples}")
    dataset = DATASETS.build(cfg.train_dataloader["dataset"])
    classes, colours = (dataset.metainfo.get(key, []) for key in ("classes", "palette"))
    set_random_seed(seed)
    cells: list[Cell] = []
    present: set[int] = set()
    for place in evenly_spread(samples, len(dataset)):
        packed = dataset[place]
        sample = packed["data_samples"]
        image = packed["inputs"].numpy()[::-1].transpose(1, 2, 0)  # BGR, channels first
        image = np.ascontiguousarray(image.clip(0, 255).astype(np.uint8))
        name = Path(sample.get("img_path") or "").name
        caption = joined(place, name, f"{image.shape[1]} x {image.shape[0]}")
        if isinstance(sample, CountingDataSample):
            points = np.asarray(sample.get("gt_points", np.zeros((0, 2), dtype=np.float32)))
            caption = joined(caption, f"{len(points)} points")
            cells.append(Cell(_with_points(image, points), caption))
        else:
            labels = labels_of_sample(sample)
            present.update(classes_in(labels, len(classes)))
            coloured = draw_segmentation(image, labels, colours, smallest=1)
            pair = (fit_picture(image, PAIR_SIDE), fit_picture(coloured, PAIR_SIDE))
            ignored = (labels == IGNORE).mean()
            cells.append(Cell(np.hstack(pair), joined(caption, f"ignored {ignored:.0%}")))
    columns = max(1, round(len(cells) ** 0.5))
    sheet = draw_sheet([cells[i : i + columns] for i in range(0, len(cells), columns)])
    return np.vstack((sheet, legend_of(present, classes, colours, sheet.shape[1])))


def _with_points(image: Picture, points: Points) -> Picture:
    shown = fit_picture(image)
    places = (points + 0.5) * (shown.shape[0] / image.shape[0]) - 0.5
    return fit_picture(draw_density(shown, None, places))
