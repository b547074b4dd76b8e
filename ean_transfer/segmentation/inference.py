"""Label maps and pictures of one's own images by a trained segmentor."""

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
from ean_transfer.engine.inference import Picture, load_trained, predict_images, write_picture
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image
from ean_transfer.visualization.labels import draw_prediction

Labels = npt.NDArray[np.uint8]  # (H, W), class indices
MOST_CLASSES = 255  # a label map is a picture of 8 bits, in which 255 is kept for ignored pixels


class Segmenter:
    """A trained segmentor, ready for images.

    Args:
        cfg: The config that it was trained with; its test pipeline prepares the images, without
            the steps that load files, and its test data set, which need not be there, says the
            classes and their colours.
        checkpoint: Its checkpoint, whose ticket the backbone is built with.
        tiles: ``dict(size=..., overlap=...)`` in pixels of the network's input: predict larger ones
            by mmseg's sliding window, which bounds the memory of the network (the scores of all
            classes are still held for the whole image). The overlap, over which scores are
            averaged, is about a quarter by default. The config's ``test_cfg`` if None.
        device: Where to compute; an accelerator by default, if there is one.

    Attributes:
        classes: Name of each class.
        palette: RGB of each class.

    Raises:
        ConfigError: The config's model is no ``EncoderDecoder``, or does not have the data set's
            classes; or the tiles overlap by more than their size.
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
        if len(self.classes) != self.model.num_classes or len(self.classes) > MOST_CLASSES:
            raise ConfigError(
                f"{cfg.filename}: expected as many classes in the model as in the test data set, "
                f"at most {MOST_CLASSES}, found {self.model.num_classes} and {len(self.classes)}"
            )
        steps = innermost(cfg.test_dataloader["dataset"])["pipeline"]
        self.pipeline = Compose([step for step in steps if not _loads_files(step)])

    @torch.no_grad()
    def __call__(self, image: str | os.PathLike[str] | npt.NDArray[np.uint8]) -> Labels:
        """The label map (H, W) uint8 of one image, of its own size.

        Args:
            image: A file, or an array (H, W, 3) uint8 in BGR, as OpenCV gives it.

        Raises:
            DataError: The file is no image that can be read, or too slim for the test pipeline.
        """
        if not isinstance(image, np.ndarray):
            image = read_image(image)
        size = image.shape[:2]
        try:
            inputs = self.pipeline({"img": image, "img_shape": size, "ori_shape": size})
        except cv2.error as error:
            raise DataError(
                "expected an image that the test pipeline can prepare, found "
                f"{size[1]} x {size[0]} pixels ({' '.join(str(error).split())})"
            ) from error
        (sample,) = self.model.test_step(pseudo_collate([inputs]))
        return sample.pred_sem_seg.data[0].cpu().numpy().astype(np.uint8)


def classes_and_palette(cfg: Config) -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """Names and RGB colours (N, 3) of the classes of a config's test data set, which is not read.

    Colours are the data set class's; if it has none, those of Pascal VOC's scheme.

    Raises:
        ConfigError: The data set says no classes.
    """
    dataset = innermost(cfg.test_dataloader["dataset"])
    kind = dataset["type"]
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    own = getattr(kind, "METAINFO", {})
    said = {**own, **(dataset.get("metainfo") or {})}
    classes = tuple(said.get("classes") or ())
    if not classes:
        raise ConfigError(
            f"{cfg.filename}: expected a test data set that names its classes, found none in "
            f"{getattr(kind, '__name__', dataset['type'])}.METAINFO or in its metainfo"
        )
    palette = said.get("palette") or [_voc_colour(index) for index in range(len(classes))]
    if len(palette) != len(classes):  # some of the data set's classes were chosen
        colours = dict(zip(own.get("classes", ()), palette, strict=False))
        palette = [colours.get(name, _voc_colour(i)) for i, name in enumerate(classes)]
    return classes, np.array(palette, dtype=np.uint8)


def predict_files(
    segmenter: Segmenter, images: Sequence[Path], folder: str | os.PathLike[str]
) -> Iterator[tuple[Path, dict[str, float] | DataError]]:
    """Segment each image, write its overlay and its label map and, at the end, ``labels.json``.

    Args:
        segmenter: The trained segmentor.
        images: The image files.
        folder: Gets, for each image, ``<name>_overlay.png`` (colours over the image, and a legend)
            and ``<name>_labels.png`` (class indices, with the data set's colours as their palette,
            of the image's own size), and ``labels.json``: a list of ``{"image", "width",
            "height", "overlay", "labels", "share"}``, or ``{"image", "error"}``. See
            :func:`~ean_transfer.engine.inference.predict_images`.

    Yields:
        Each image with each class's share of its pixels, or with what was wrong with it.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and are
            not of an earlier prediction.
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
    """Write a label map as an indexed PNG: the indices are the labels, the palette is to look at.

    Args:
        file: The file.
        labels: (H, W) uint8.
        palette: RGB of each class (N, 3).
    """
    picture = Image.fromarray(labels)
    picture.putpalette(palette.astype(np.uint8).tobytes())
    picture.save(file)


def _sliding_window(cfg: Config, size: int, overlap: int | None = None) -> dict[str, Any]:
    tiles = Tiles(size=size, overlap=Tiles.usual_overlap(size, 1) if overlap is None else overlap)
    step = tiles.size - tiles.overlap
    window = {"mode": "slide", "crop_size": (tiles.size,) * 2, "stride": (step, step)}
    return {**(cfg.model.get("test_cfg") or {}), **window}


def _loads_files(step: Any) -> bool:
    """Whether a step of a pipeline reads the image, which is at hand, or the labels.

    All that do derive from mmcv's ``LoadImageFromFile`` or ``LoadAnnotations``, or are named so.
    """
    kind = step["type"] if isinstance(step, dict) else type(step)
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return any(base.__name__.startswith("Load") for base in getattr(kind, "__mro__", ()))


def _voc_colour(index: int) -> list[int]:
    """Of Pascal VOC's development kit: bits of the index, by turns to red, green and blue."""
    index += 1  # its first colour, black, is the background's
    bits = [[index >> (3 * place + channel) & 1 for place in range(3)] for channel in range(3)]
    return [sum(bit << (7 - place) for place, bit in enumerate(channel)) for channel in bits]
