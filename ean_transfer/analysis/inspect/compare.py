"""Sheets of pictures to look at: several networks side by side, and augmented training samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmseg.models import BaseSegmentor

from ean_transfer.engine.inference import model_class
from ean_transfer.errors import ConfigError
from ean_transfer.io.images import read_image
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.segmentation.inference import Segmenter, classes_and_palette
from ean_transfer.visualization.labels import (
    Palette,
    Picture,
    classes_in,
    draw_legend,
    draw_segmentation,
)
from ean_transfer.visualization.sheet import Cell, draw_sheet, evenly_spread, fit_picture, joined

PAIR_SIDE = 240  # pixels: the longer side of one of two pictures side by side
OPACITY = 0.75  # of colours, where the image itself stands in the same row

LabelMap = npt.NDArray[np.integer]


def compare(
    cfg: Config,
    checkpoints: Mapping[str, str | os.PathLike[str]],
    samples: Sequence[int] | None = None,
    device: str | None = None,
    with_images: bool = True,
) -> Picture:
    """Test images, a row each: image | truth | what each network sees; and one legend.

    Below a prediction stands the share of the labelled pixels that it has right.

    Args:
        cfg: The config of the networks, of which one at a time is in memory.
        checkpoints: Name -> checkpoint, whose ticket the backbone is built with.
        samples: Places in the test set, from 0; four, evenly spread, by default.
        device: Where to compute; an accelerator by default, if there is one.
        with_images: Otherwise the colours stand alone, on black, for where the images must not go.

    Returns:
        RGB uint8.

    Raises:
        ConfigError: The config is not of segmentation, or its test set has no such sample.
        DataError: The test set is not there, or one of its files cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    require_task(cfg, {BaseSegmentor: "segmentation"})
    classes, palette = classes_and_palette(cfg)
    colours = palette.tolist()
    dataset = DATASETS.build(cfg.test_dataloader["dataset"])
    if samples is None:
        samples = evenly_spread(min(4, len(dataset)), len(dataset))
    if wrong := [sample for sample in samples if not 0 <= sample < len(dataset)]:
        raise ConfigError(
            f"{cfg.filename}: expected samples from 0 to {len(dataset) - 1}, as the test set has, "
            f"found {wrong[0]}"
        )
    infos = [dataset.get_data_info(sample) for sample in samples]
    images = [info["img"] if "img" in info else read_image(info["img_path"]) for info in infos]
    truths = [labels_of_sample(dataset[sample]["data_samples"]) for sample in samples]
    present = {index for truth in truths for index in classes_in(truth, len(classes))}
    plain = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    below = plain if with_images else [np.zeros_like(image) for image in plain]
    opacity = OPACITY if with_images else 1.0

    def coloured(index: int, labels: LabelMap, caption: str) -> Cell:
        picture = draw_segmentation(below[index], labels, colours, opacity, smallest=1)
        return Cell(fit_picture(picture), caption)

    rows = []
    for index, (sample, info, truth) in enumerate(zip(samples, infos, truths, strict=True)):
        name = joined(sample, Path(info.get("img_path") or "").name)
        caption = "" if (truth != IGNORE).any() else "no labels"
        if with_images:
            rows.append([Cell(fit_picture(plain[index]), name), coloured(index, truth, caption)])
        else:
            rows.append([coloured(index, truth, joined(name, caption))])
    for checkpoint in checkpoints.values():
        segmenter = Segmenter(cfg, checkpoint, device=device)
        for index, (row, image, truth) in enumerate(zip(rows, images, truths, strict=True)):
            labels = segmenter(image)
            present.update(classes_in(labels, len(classes)))
            row.append(coloured(index, labels, _share_right(labels, truth)))
    titles = [*(["image"] if with_images else []), "truth", *checkpoints]
    sheet = draw_sheet(rows, titles)
    return np.vstack((sheet, legend_of(present, classes, colours, sheet.shape[1])))


def require_task(cfg: Config, tasks: Mapping[type, str]) -> None:
    found = model_class(cfg)
    if not issubclass(found, tuple(tasks)):
        raise ConfigError(
            f"{cfg.filename}: expected a config of {' or '.join(tasks.values())}, found "
            f"{found.__name__} as its model"
        )


def labels_of_sample(sample: Any) -> LabelMap:
    """The truth (H, W) of a packed sample; all ignored, if it has none."""
    if "gt_sem_seg" not in sample:
        return np.full(sample.get("ori_shape", (1, 1))[:2], IGNORE, dtype=np.uint8)
    return sample.gt_sem_seg.data[0].numpy()


def _share_right(labels: LabelMap, truth: LabelMap) -> str:
    counted = truth != IGNORE
    if labels.shape != truth.shape or not counted.any():
        return ""  # a test pipeline may have resized the truth
    return f"{(labels == truth)[counted].mean():.1%} right"


def legend_of(present: set[int], classes: Sequence[str], colours: Palette, width: int) -> Picture:
    chosen = sorted(present)
    return draw_legend([classes[i] for i in chosen], [colours[i] for i in chosen], width)
