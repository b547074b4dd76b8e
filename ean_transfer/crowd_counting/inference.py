"""Counting the objects in your own images with a trained counter."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate

from ean_transfer.crowd_counting.model import DensityCounter
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.data.config import innermost
from ean_transfer.engine.inference import load_trained, predict_images, write_picture
from ean_transfer.errors import DataError
from ean_transfer.io.images import read_image
from ean_transfer.visualization.density import draw_density
from ean_transfer.visualization.picture import Picture


class CrowdCounter:
    """A trained counter, ready for images.

    Args:
        cfg: The config that the counter was trained with; its test pipeline prepares the images.
        checkpoint: Its checkpoint, whose ticket the backbone is built with.
        tiles: Tiles of :class:`~ean_transfer.crowd_counting.model.DensityCounter`; the config's by
            default.
        device: Device to compute on; by default an accelerator, if there is one.

    Raises:
        ConfigError: The config's model is no :class:`DensityCounter`, or the tiles do not fit it.
        CheckpointError, TicketError: The checkpoint cannot be read or belongs to another network.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike[str],
        tiles: Mapping[str, int] | None = None,
        device: str | None = None,
    ) -> None:
        changes = None if tiles is None else {"tiles": tiles}
        self.model = load_trained(cfg, checkpoint, DensityCounter, changes, device)
        self.pipeline = Compose(innermost(cfg.test_dataloader["dataset"])["pipeline"])

    @torch.no_grad()
    def __call__(self, image: str | os.PathLike[str] | np.ndarray) -> CountingDataSample:
        """Count the people (or other objects) in one image.

        Args:
            image: A file, or an array (H, W, 3) uint8 in BGR, as OpenCV gives it.

        Returns:
            A sample on the CPU with ``pred_count``, ``pred_density``, ``pred_stride``.

        Raises:
            DataError: The file cannot be read as an image.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(image)
        (sample,) = self.model.test_step(pseudo_collate([self.pipeline({"img": image})]))
        return sample.cpu()


def predict_files(
    counter: CrowdCounter, images: Sequence[Path], folder: str | os.PathLike[str]
) -> Iterator[tuple[Path, float | DataError]]:
    """Count each image, write its heat map and, at the end, ``counts.json``.

    Args:
        counter: The trained counter.
        images: The image files.
        folder: Folder for ``<name>.png`` of each image and for ``counts.json``, a list of
            ``{"image", "width", "height", "count", "picture"}``, or ``{"image", "error"}``. See
            :func:`~ean_transfer.engine.inference.predict_images`.

    Yields:
        Each image with its count, or with the error that prevented it.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and that
            no earlier prediction has written.
        OSError: A picture cannot be written.
    """

    def predict(image: Picture, files: list[Path]) -> tuple[float, dict[str, Any]]:
        sample = counter(image)
        shown = np.ascontiguousarray(image[..., ::-1])
        density = sample.pred_density.numpy()
        write_picture(files[0], draw_density(shown, density, pred=sample.pred_count))
        return sample.pred_count, {
            "count": round(sample.pred_count, 3),
            "picture": files[0].name,
        }

    return predict_images(images, folder, "counts.json", [".png"], predict)
