"""Counts and pictures of one's own images by a trained counter."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import MODELS

from ean_transfer.checkpoint import load_model
from ean_transfer.crowd_counting.images import read_image
from ean_transfer.crowd_counting.model import DensityCounter
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.crowd_counting.visualize import draw_density
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.launch import use_ticket_of
from ean_transfer.ticket import write_atomically

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")


class CrowdCounter:
    """A trained counter, ready for images.

    Args:
        cfg: The config that the counter was trained with; its test pipeline prepares the images.
        checkpoint: Its checkpoint, whose ticket the backbone is built with.
        tiles: See :class:`~ean_transfer.crowd_counting.model.DensityCounter`; the config's by
            default.
        device: Where to compute; an accelerator by default, if there is one.

    Raises:
        ConfigError: The config's model is no :class:`DensityCounter`, or the tiles do not fit it.
        CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike[str],
        tiles: Mapping[str, int] | None = None,
        device: str | None = None,
    ) -> None:
        use_ticket_of(cfg, checkpoint)
        model = MODELS.build(cfg.model if tiles is None else cfg.model | {"tiles": tiles})
        if not isinstance(model, DensityCounter):
            raise ConfigError(
                f"{cfg.filename}: expected a DensityCounter as its model, found a "
                f"{type(model).__name__}"
            )
        load_model(model, checkpoint)
        self.model = model.to(device or get_device()).eval()
        self.pipeline = Compose(cfg.test_dataloader["dataset"]["pipeline"])

    @torch.no_grad()
    def __call__(self, image: str | os.PathLike[str] | np.ndarray) -> CountingDataSample:
        """Count the people (or cells, or ...) of one image.

        Args:
            image: A file, or an array (H, W, 3) uint8 in BGR, as OpenCV gives it.

        Returns:
            A sample on the CPU with ``pred_count``, ``pred_density``, ``pred_stride``.

        Raises:
            DataError: The file is no image that can be read.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(image)
        (sample,) = self.model.test_step(pseudo_collate([self.pipeline({"img": image})]))
        return sample.cpu()


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Image files as they are given, and those of given folders in the order of their names.

    Raises:
        DataError: A path does not exist, or a folder holds no image.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            images = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES)
            if not images:
                raise DataError(
                    f"{path}: expected images ({', '.join(IMAGE_SUFFIXES)}), found none; give "
                    "another folder or the files themselves"
                )
            found += images
        elif path.is_file():
            found.append(path)
        else:
            raise DataError(f"{path}: expected an image or a folder of images, found no such file")
    return found


def predict_files(
    counter: CrowdCounter, images: Sequence[Path], folder: str | os.PathLike[str]
) -> Iterator[tuple[Path, float | DataError]]:
    """Count each image, write its heat map and, at the end, ``counts.json``.

    An image that cannot be read is reported and does not stop the others. ``counts.json`` is also
    written if the caller stops in between.

    Args:
        counter: The trained counter.
        images: The image files.
        folder: Gets ``<name>.png`` for each image, numbered where names repeat, and
            ``counts.json``: a list of ``{"image", "count", "width", "height", "picture"}``, or
            ``{"image", "error"}``.

    Yields:
        Each image with its count or with what was wrong with it.

    Raises:
        ConfigError: The folder is that of an image, which a picture might replace.
        OSError: A picture cannot be written.
    """
    out = Path(folder)
    for image in images:
        if image.resolve().parent == out.resolve():
            raise ConfigError(
                f"{out}: expected another folder for the pictures, found {image.name} in it, one "
                "of the images to count"
            )
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    try:
        for image, picture in zip(images, _picture_names(images), strict=True):
            try:
                pixels = read_image(image)
            except DataError as error:
                rows.append({"image": str(image), "error": str(error)})
                yield image, error
                continue
            sample = counter(pixels)
            drawn = draw_density(
                np.ascontiguousarray(pixels[..., ::-1]),
                sample.pred_density.numpy(),
                pred=sample.pred_count,
            )
            if not cv2.imwrite(str(out / picture), np.ascontiguousarray(drawn[..., ::-1])):
                raise OSError(f"{out / picture}: cannot be written; is the disk full?")
            height, width = pixels.shape[:2]
            row = {"image": str(image), "count": round(sample.pred_count, 3)}
            rows.append(row | {"width": width, "height": height, "picture": picture})
            yield image, sample.pred_count
    finally:
        write_atomically(out / "counts.json", json.dumps(rows, indent=2) + "\n")


def _picture_names(images: Sequence[Path]) -> list[str]:
    """A file name for each image: its own, numbered where another image has it too."""
    names: list[str] = []
    for image in images:
        name, number = f"{image.stem}.png", 2
        while name in names:
            name, number = f"{image.stem}_{number}.png", number + 1
        names.append(name)
    return names
