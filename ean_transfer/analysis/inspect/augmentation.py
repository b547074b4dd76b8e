"""What the training pipeline makes of images, with their labels, to look at before training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import set_random_seed
from mmseg.models import BaseSegmentor

from ean_transfer.analysis.inspect.samples import label_map
from ean_transfer.crowd_counting import CountingDataSample, DensityCounter
from ean_transfer.crowd_counting.points import Points
from ean_transfer.data.config import dataset_config
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.visualization.density import draw_density
from ean_transfer.visualization.labels import classes_in, draw_class_legend, draw_segmentation
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import (
    SIDE,
    Cell,
    draw_sheet,
    evenly_spread,
    in_rows,
    joined,
)

PAIR_SIDE = 240  # pixels: the longer side of an image beside its label map


@checked_arguments
def augmentation_sheet(cfg: Config, samples: Positive = 16, seed: int = 0) -> Picture:
    """Draw what the training pipeline makes of images spread evenly over the training set.

    Segmentation: each image as the network gets it, beside it the same image with the colours of
    its labels (none on ignored pixels), and one legend. Counting: each image with its points.

    Args:
        cfg: A config of segmentation or counting.
        samples: Number of pictures; where the training set is smaller, images are drawn again.
        seed: Seed of the global generators of Python, NumPy and torch, which are set by it.

    Raises:
        ConfigError: The config is of another task, or ``samples`` is not positive.
        DataError: The training set is missing, or one of its files cannot be read.
    """
    model_class(cfg, BaseSegmentor, DensityCounter)
    with config_errors(cfg):
        dataset = DATASETS.build(dataset_config(cfg, "train_dataloader"))
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
            cells.append(
                Cell(_with_points(image, points), joined(caption, f"{len(points)} points"))
            )
        else:
            labels = label_map(sample)
            present.update(classes_in(labels, len(classes)))
            coloured = draw_segmentation(image, labels, colours, min_side=1)
            pair = (fit_picture(image, PAIR_SIDE), fit_picture(coloured, PAIR_SIDE))
            ignored = (labels == IGNORE).mean()
            cells.append(Cell(np.hstack(pair), joined(caption, f"ignored {ignored:.0%}")))
    sheet = draw_sheet(in_rows(cells, max(1, round(len(cells) ** 0.5))))
    return np.vstack((sheet, draw_class_legend(present, classes, colours, sheet.shape[1])))


def _with_points(image: Picture, points: Points) -> Picture:
    shown = fit_picture(image, SIDE)
    places = (points + 0.5) * (shown.shape[0] / image.shape[0]) - 0.5
    return fit_picture(draw_density(shown, None, places), SIDE)
