"""Segmenting your own images with a trained network: label maps, overlays and class shares."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DATASETS, TRANSFORMS
from mmseg.models import EncoderDecoder
from PIL import Image

from ean_transfer.data.config import innermost
from ean_transfer.data.tiles import Tiles
from ean_transfer.engine.inference import load_trained, predict_images, write_picture
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image
from ean_transfer.visualization.labels import draw_prediction
from ean_transfer.visualization.picture import Picture

Labels = npt.NDArray[np.uint8]  # (H, W), class indices
MAX_CLASSES = 255  # a label map has 8 bits, and 255 is the ignored label


class Segmenter:
    """A trained segmentation network that takes image files or arrays.

    Args:
        cfg: The config that the network was trained with. Its test pipeline prepares the images
            (without the steps that load files); its test data set names the classes and colours,
            and need not be on this machine.
        checkpoint: The checkpoint, whose ticket the backbone is built with.
        tiles: ``dict(size=..., overlap=...)`` in pixels of the network's input: larger inputs are
            predicted by mmseg's sliding window, which bounds the network's memory (the scores of
            all classes are still held for the whole image). Scores are averaged over the overlap,
            by default about a quarter of the size. Without tiles the config's ``test_cfg`` holds.
        device: Device to compute on; by default an accelerator, if there is one.

    Attributes:
        classes: Name of each class.
        palette: RGB of each class.

    Raises:
        ConfigError: The config's model is no ``EncoderDecoder``, or its number of classes is not
            the data set's; or the tiles overlap by more than their size.
        CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
    """

    def __init__(
        self,
        cfg: Config,
        checkpoint: str | os.PathLike[str],
        tiles: Mapping[str, int] | None = None,
        device: str | None = None,
    ) -> None:
        changes = None if tiles is None else {"test_cfg": _sliding_window(cfg, **tiles)}
        self.model = load_trained(cfg, checkpoint, EncoderDecoder, changes, device)
        self.classes, self.palette = classes_and_palette(cfg)
        # Otherwise labels would get the names and colours of other classes.
        numbers = (self.model.num_classes, len(self.classes))
        if numbers[0] != numbers[1] or max(numbers) > MAX_CLASSES:
            raise ConfigError(
                f"{cfg.filename}: expected a model with the classes that the test data set names, "
                f"at most {MAX_CLASSES}, found {numbers[0]} in the model and {numbers[1]} names"
            )
        steps = innermost(cfg.test_dataloader["dataset"])["pipeline"]
        self.pipeline = Compose([step for step in steps if not _loads_files(step)])

    @torch.no_grad()
    def __call__(self, image: str | os.PathLike[str] | npt.NDArray[np.uint8]) -> Labels:
        """The label map (H, W) uint8 of one image, at the image's own size.

        Args:
            image: A file, or an array (H, W, 3) uint8 in BGR, as OpenCV gives it.

        Raises:
            DataError: The file cannot be read, or is too slim for the test pipeline.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(image)
        size = image.shape[:2]
        try:
            inputs = self.pipeline({"img": image, "img_shape": size, "ori_shape": size})
        except cv2.error as error:  # e.g. 1000 x 1 pixels, resized to a height of 0
            pixels = f"{size[1]} x {size[0]} pixels ({' '.join(str(error).split())})"
            raise DataError(f"expected an image for the test pipeline, found {pixels}") from error
        (sample,) = self.model.test_step(pseudo_collate([inputs]))
        return sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)


def classes_and_palette(cfg: Config) -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """Names and RGB colours (N, 3) of the classes of a config's test data set, which is not read.

    Colours are those of the data set's class, or, if it has none, those of Pascal VOC's scheme.
    Both are empty for a data set that does not name its classes.
    """
    dataset = innermost(cfg.test_dataloader["dataset"])
    kind = dataset["type"]
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    own = getattr(kind, "METAINFO", {})
    metainfo = {**own, **(dataset.get("metainfo") or {})}
    classes = tuple(metainfo.get("classes") or ())
    palette = metainfo.get("palette") or [_voc_colour(index) for index in range(len(classes))]
    if len(palette) != len(classes):  # the config has chosen some of the data set's classes
        colours = dict(zip(own.get("classes", ()), palette, strict=False))
        palette = [colours.get(name, _voc_colour(i)) for i, name in enumerate(classes)]
    return classes, np.array(palette, dtype=np.uint8)


def predict_files(
    segmenter: Segmenter, images: Sequence[Path], folder: str | os.PathLike[str]
) -> Iterator[tuple[Path, dict[str, float] | DataError]]:
    """Segment each image, write its overlay and its label map and, at the end, ``labels.json``.

    Args:
        segmenter: The trained network.
        images: The image files.
        folder: Folder of the results. For each image ``<name>_overlay.png`` (colours over the
            image, and a legend) and ``<name>_labels.png`` (class indices at the image's own size,
            with the data set's colours as the palette); and ``labels.json``, a list of
            ``{"image", "width", "height", "overlay", "labels", "share"}`` or
            ``{"image", "error"}``. See :func:`~ean_transfer.engine.inference.predict_images`.

    Yields:
        Each image with the share of its pixels per class, or with the error that it gave.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and do
            not come from an earlier prediction.
        OSError: A picture cannot be written.
    """

    def predict(image: Picture, files: list[Path]) -> tuple[dict[str, float], dict[str, Any]]:
        labels = segmenter(image)
        shown = np.ascontiguousarray(image[..., ::-1])
        overlay = draw_prediction(shown, labels, segmenter.classes, segmenter.palette.tolist())
        write_picture(files[0], overlay)
        write_labels(files[1], labels, segmenter.palette)
        counts = np.bincount(labels.ravel(), minlength=len(segmenter.classes))
        share = dict(zip(segmenter.classes, (counts / labels.size).tolist(), strict=True))
        return share, {
            "overlay": files[0].name,
            "labels": files[1].name,
            "share": {name: round(value, 6) for name, value in share.items()},
        }

    return predict_images(images, folder, "labels.json", ["_overlay.png", "_labels.png"], predict)


def write_labels(file: Path, labels: Labels, palette: npt.NDArray[np.uint8]) -> None:
    """Write a label map as a PNG with a palette: programs read the labels, people see colours.

    Args:
        file: The PNG file.
        labels: (H, W) uint8.
        palette: RGB of each class (N, 3).
    """
    picture = Image.fromarray(labels)
    picture.putpalette(palette.astype(np.uint8).tobytes())
    picture.save(file)


def _sliding_window(cfg: Config, size: int, overlap: int | None = None) -> dict[str, Any]:
    tiles = Tiles(size=size, overlap=Tiles.usual_overlap(size, 1) if overlap is None else overlap)
    step = tiles.size - tiles.overlap  # mmseg counts from one window's start to the next
    window = {"mode": "slide", "crop_size": (tiles.size,) * 2, "stride": (step, step)}
    return {**(cfg.model.get("test_cfg") or {}), **window}


def _loads_files(step: Any) -> bool:
    """Whether a step of a pipeline reads the image, which is already in memory, or the labels.

    Such steps derive from mmcv's ``LoadImageFromFile`` or ``LoadAnnotations``, or begin with Load.
    """
    kind = step["type"] if isinstance(step, dict) else type(step)
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return any(base.__name__.startswith("Load") for base in getattr(kind, "__mro__", ()))


def _voc_colour(index: int) -> list[int]:
    """Colour of a class in Pascal VOC's scheme: the index's bits go to red, green, blue in turn."""
    index += 1  # the first colour, black, belongs to the background
    bits = [[index >> (3 * place + channel) & 1 for place in range(3)] for channel in range(3)]
    return [sum(bit << (7 - place) for place, bit in enumerate(channel)) for channel in bits]
