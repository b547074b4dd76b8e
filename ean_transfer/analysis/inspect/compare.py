"""Segmentations of test images by several networks, side by side with the truth."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmseg.models import BaseSegmentor

from ean_transfer.analysis.inspect.samples import LabelMap, label_map, require_samples
from ean_transfer.data.config import dataset_config, innermost
from ean_transfer.data.loading import exif_of
from ean_transfer.engine.config import model_class
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.io.images import read_image
from ean_transfer.segmentation.inference import Segmenter, classes_and_palette
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.visualization.labels import classes_in, draw_class_legend, draw_segmentation
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import SIDE, Cell, draw_sheet, evenly_spread, joined

OPACITY = 0.75  # of the colours; higher than usual, since the image itself stands in the same row


def compare(
    cfg: Config,
    checkpoints: Mapping[str, str | os.PathLike[str]],
    samples: Sequence[int] | None = None,
    device: str | None = None,
    with_images: bool = True,
) -> Picture:
    """Draw one row per test image: image | truth | prediction of each network; and one legend.

    Below a prediction stands its accuracy on the labelled pixels.

    Args:
        cfg: The config of the networks; one network at a time is in memory.
        checkpoints: Name -> checkpoint, whose ticket the backbone is built with.
        samples: Places in the test set, from 0; by default four, evenly spread.
        device: Device to compute on; by default an accelerator, if there is one.
        with_images: Whether to show the images; if not, the colours stand alone on black, for data
            that must not be shown.

    Raises:
        ConfigError: The config is not of segmentation, or its test set has no such sample.
        DataError: The test set is missing, or one of its files cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    model_class(cfg, BaseSegmentor)
    with config_errors(cfg):
        dataset = DATASETS.build(dataset_config(cfg))
    classes, palette = classes_and_palette(cfg, dataset.metainfo)
    colours = palette.tolist()
    if samples is None:
        samples = evenly_spread(min(4, len(dataset)), len(dataset))
    require_samples(samples, dataset, cfg)
    infos = [dataset.get_data_info(sample) for sample in samples]
    exif = exif_of(innermost(dataset).pipeline.transforms) or "apply"
    images = [
        info["img"] if "img" in info else read_image(info["img_path"], exif) for info in infos
    ]
    truths = [label_map(dataset[sample]["data_samples"]) for sample in samples]
    present = {index for truth in truths for index in classes_in(truth, len(classes))}
    plain = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    below = plain if with_images else [np.zeros_like(image) for image in plain]
    opacity = OPACITY if with_images else 1.0

    def coloured(row: int, labels: LabelMap, caption: str) -> Cell:
        picture = draw_segmentation(below[row], labels, colours, opacity, min_side=1)
        return Cell(fit_picture(picture, SIDE), caption)

    rows = []
    for row, (sample, info, truth) in enumerate(zip(samples, infos, truths, strict=True)):
        name = joined(sample, Path(info.get("img_path") or "").name)
        caption = "" if (truth != IGNORE).any() else "no labels"
        if with_images:
            shown = Cell(fit_picture(plain[row], SIDE), name)
            rows.append([shown, coloured(row, truth, caption)])
        else:
            rows.append([coloured(row, truth, joined(name, caption))])
    for checkpoint in checkpoints.values():
        segmenter = Segmenter.trained(cfg, checkpoint, device=device)
        for row, (image, truth) in enumerate(zip(images, truths, strict=True)):
            labels = segmenter(image).labels
            present.update(classes_in(labels, len(classes)))
            rows[row].append(coloured(row, labels, _share_right(labels, truth)))
    titles = [*(["image"] if with_images else []), "truth", *checkpoints]
    sheet = draw_sheet(rows, titles)
    return np.vstack((sheet, draw_class_legend(present, classes, colours, sheet.shape[1])))


def _share_right(labels: LabelMap, truth: LabelMap) -> str:
    """Caption with a prediction's accuracy on the labelled pixels; empty if there is none."""
    counted = truth != IGNORE
    if labels.shape != truth.shape or not counted.any():
        return ""  # a test pipeline may have resized the truth
    return f"{(labels == truth)[counted].mean():.1%} right"
