"""Sheets of pictures to look at: several networks side by side, and augmented training samples."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmengine.runner import set_random_seed
from mmseg.models import BaseSegmentor

from ean_transfer.crowd_counting import CountingDataSample, DensityCounter, draw_density
from ean_transfer.crowd_counting.points import Points
from ean_transfer.errors import ConfigError
from ean_transfer.images import read_image
from ean_transfer.prediction import model_class
from ean_transfer.segmentation.checks import IGNORE
from ean_transfer.segmentation.prediction import Segmenter, classes_and_palette
from ean_transfer.segmentation.visualize import (
    BACKGROUND,
    Palette,
    Picture,
    classes_in,
    draw_legend,
    draw_segmentation,
    draw_text,
)

SIDE, PAIR_SIDE = 320, 240  # pixels: the longer side of a picture, of one of two side by side
GAP = 8  # pixels around each
LINE = 26  # pixels: the height of a title or a caption
CAPTION_SIZE = 14  # pixels: the height of a caption's letters
OPACITY = 0.75  # of colours, where the image itself stands in the same row

LabelMap = npt.NDArray[np.integer]


class Cell(NamedTuple):
    """A picture in a sheet, and a line below it."""

    picture: Picture
    caption: str


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
    _require_task(cfg, {BaseSegmentor: "segmentation"})
    classes, palette = classes_and_palette(cfg)
    colours = palette.tolist()
    dataset = DATASETS.build(cfg.test_dataloader["dataset"])
    if samples is None:
        samples = _evenly_spread(min(4, len(dataset)), len(dataset))
    if wrong := [sample for sample in samples if not 0 <= sample < len(dataset)]:
        raise ConfigError(
            f"{cfg.filename}: expected samples from 0 to {len(dataset) - 1}, as the test set has, "
            f"found {wrong[0]}"
        )
    infos = [dataset.get_data_info(sample) for sample in samples]
    images = [info["img"] if "img" in info else read_image(info["img_path"]) for info in infos]
    truths = [_labels(dataset[sample]["data_samples"]) for sample in samples]
    present = {index for truth in truths for index in classes_in(truth, len(classes))}
    plain = [np.ascontiguousarray(image[..., ::-1]) for image in images]
    below = plain if with_images else [np.zeros_like(image) for image in plain]
    opacity = OPACITY if with_images else 1.0

    def coloured(index: int, labels: LabelMap, caption: str) -> Cell:
        picture = draw_segmentation(below[index], labels, colours, opacity, smallest=1)
        return Cell(_fitted(picture), caption)

    rows = []
    for index, (sample, info, truth) in enumerate(zip(samples, infos, truths, strict=True)):
        name = _joined(sample, Path(info.get("img_path") or "").name)
        caption = "" if (truth != IGNORE).any() else "no labels"
        if with_images:
            rows.append([Cell(_fitted(plain[index]), name), coloured(index, truth, caption)])
        else:
            rows.append([coloured(index, truth, _joined(name, caption))])
    for checkpoint in checkpoints.values():
        segmenter = Segmenter(cfg, checkpoint, device=device)
        for index, (row, image, truth) in enumerate(zip(rows, images, truths, strict=True)):
            labels = segmenter(image)
            present.update(classes_in(labels, len(classes)))
            row.append(coloured(index, labels, _share_right(labels, truth)))
    titles = [*(["image"] if with_images else []), "truth", *checkpoints]
    sheet = draw_sheet(rows, titles)
    return np.vstack((sheet, _legend(present, classes, colours, sheet.shape[1])))


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
    _require_task(cfg, {BaseSegmentor: "segmentation", DensityCounter: "counting"})
    if samples < 1:
        raise ConfigError(f"expected a positive number of samples, found {samples}")
    dataset = DATASETS.build(cfg.train_dataloader["dataset"])
    classes, colours = (dataset.metainfo.get(key, []) for key in ("classes", "palette"))
    set_random_seed(seed)
    cells: list[Cell] = []
    present: set[int] = set()
    for place in _evenly_spread(samples, len(dataset)):
        packed = dataset[place]
        sample = packed["data_samples"]
        image = packed["inputs"].numpy()[::-1].transpose(1, 2, 0)  # BGR, channels first
        image = np.ascontiguousarray(image.clip(0, 255).astype(np.uint8))
        name = Path(sample.get("img_path") or "").name
        caption = _joined(place, name, f"{image.shape[1]} x {image.shape[0]}")
        if isinstance(sample, CountingDataSample):
            points = np.asarray(sample.get("gt_points", np.zeros((0, 2), dtype=np.float32)))
            caption = _joined(caption, f"{len(points)} points")
            cells.append(Cell(_with_points(image, points), caption))
        else:
            labels = _labels(sample)
            present.update(classes_in(labels, len(classes)))
            coloured = draw_segmentation(image, labels, colours, smallest=1)
            pair = (_fitted(image, PAIR_SIDE), _fitted(coloured, PAIR_SIDE))
            ignored = (labels == IGNORE).mean()
            cells.append(Cell(np.hstack(pair), _joined(caption, f"ignored {ignored:.0%}")))
    columns = max(1, round(len(cells) ** 0.5))
    sheet = draw_sheet([cells[i : i + columns] for i in range(0, len(cells), columns)])
    return np.vstack((sheet, _legend(present, classes, colours, sheet.shape[1])))


def draw_sheet(rows: Sequence[Sequence[Cell]], titles: Sequence[str] = ()) -> Picture:
    """Pictures in rows and columns, titles above the columns, captions below the pictures.

    A column is as wide and a row as high as its largest picture.

    Returns:
        RGB uint8.
    """
    columns = range(max(len(row) for row in rows))
    widths = [max(row[i].picture.shape[1] for row in rows if i < len(row)) for i in columns]
    heights = [max(cell.picture.shape[0] for cell in row) for row in rows]
    top = GAP + (LINE if titles else 0)
    size = (top + sum(heights) + len(rows) * (LINE + GAP), GAP + sum(widths) + len(widths) * GAP)
    sheet = np.full((*size, 3), BACKGROUND, dtype=np.uint8)

    def put(picture: Picture, top: int, left: int) -> None:
        sheet[top : top + picture.shape[0], left : left + picture.shape[1]] = picture

    lefts = [GAP + sum(widths[:i]) + i * GAP for i in columns]
    for title, left, width in zip(titles, lefts, widths, strict=False):
        put(draw_text(title, width, LINE), GAP // 2, left)
    for row, height in zip(rows, heights, strict=True):
        for cell, left, width in zip(row, lefts, widths, strict=False):
            put(cell.picture, top, left)
            caption = draw_text(cell.caption, width, LINE, CAPTION_SIZE)
            put(caption, top + cell.picture.shape[0], left)
        top += height + LINE + GAP
    return sheet


def _require_task(cfg: Config, tasks: Mapping[type, str]) -> None:
    found = model_class(cfg)
    if not issubclass(found, tuple(tasks)):
        raise ConfigError(
            f"{cfg.filename}: expected a config of {' or '.join(tasks.values())}, found "
            f"{found.__name__} as its model"
        )


def _evenly_spread(count: int, total: int) -> list[int]:
    return np.linspace(0, total - 1, count).round().astype(int).tolist()


def _labels(sample: Any) -> LabelMap:
    """The truth (H, W) of a packed sample; all ignored, if it has none."""
    if "gt_sem_seg" not in sample:
        return np.full(sample.get("ori_shape", (1, 1))[:2], IGNORE, dtype=np.uint8)
    return sample.gt_sem_seg.data[0].numpy()


def _share_right(labels: LabelMap, truth: LabelMap) -> str:
    counted = truth != IGNORE
    if labels.shape != truth.shape or not counted.any():
        return ""  # a test pipeline may have resized the truth
    return f"{(labels == truth)[counted].mean():.1%} right"


def _with_points(image: Picture, points: Points) -> Picture:
    shown = _fitted(image)
    places = (points + 0.5) * (shown.shape[0] / image.shape[0]) - 0.5
    return _fitted(draw_density(shown, None, places))


def _joined(*parts: object) -> str:
    return ", ".join(text for text in map(str, parts) if text)


def _fitted(picture: Picture, side: int = SIDE) -> Picture:
    """Shrunk or enlarged to a longer side."""
    height, width = picture.shape[:2]
    factor = side / max(height, width)
    size = (max(1, round(width * factor)), max(1, round(height * factor)))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR if factor < 2 else cv2.INTER_NEAREST
    return np.asarray(cv2.resize(picture, size, interpolation=how), dtype=np.uint8)


def _legend(present: set[int], classes: Sequence[str], colours: Palette, width: int) -> Picture:
    chosen = sorted(present)
    return draw_legend([classes[i] for i in chosen], [colours[i] for i in chosen], width)
