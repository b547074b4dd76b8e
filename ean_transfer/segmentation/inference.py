"""Segmenting your own images with a trained network: label maps, overlays and class shares."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.registry import DATASETS
from mmseg.models import EncoderDecoder
from PIL import Image

from ean_transfer.data.config import dataset_config, innermost
from ean_transfer.data.tiles import Tiles
from ean_transfer.engine.inference import Predictor, Setting
from ean_transfer.engine.results import Judgement, Prediction
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.loading import IGNORE
from ean_transfer.visualization.labels import draw_prediction, draw_segmentation
from ean_transfer.visualization.picture import Picture, write_picture

Labels = npt.NDArray[np.uint8]  # (H, W), class indices
MAX_CLASSES = 255  # a label map has 8 bits, and 255 is the ignored label


@dataclass(frozen=True)
class LabelMap(Prediction):
    """The class of each pixel of an image.

    Attributes:
        labels: (H, W) uint8, class indices, at the image's own size.
        classes: Name of each class.
        palette: RGB of each class (classes, 3).
    """

    files = {"overlay": "_overlay.png", "labels": "_labels.png"}

    labels: Labels
    classes: tuple[str, ...]
    palette: npt.NDArray[np.uint8]

    @property
    def share(self) -> dict[str, float]:
        """Share of the pixels of each class."""
        counts = np.bincount(self.labels.ravel(), minlength=len(self.classes))[: len(self.classes)]
        return dict(zip(self.classes, (counts / self.labels.size).tolist(), strict=True))

    def text(self) -> str:
        """The three classes with most pixels."""
        largest = sorted(self.share.items(), key=lambda item: item[1], reverse=True)[:3]
        return ", ".join(f"{name} {share:.0%}" for name, share in largest if share > 0)

    def entries(self) -> dict[str, Any]:
        return {"share": {name: round(share, 6) for name, share in self.share.items()}}

    def overlay(self, image: Picture) -> Picture:
        return draw_segmentation(image, self.labels, self.palette.tolist())

    def draw(self, image: Picture) -> Picture:
        """The colours over the image, and a legend of the classes in it."""
        return draw_prediction(image, self.labels, self.classes, self.palette.tolist())

    def write(self, image: Picture, files: Mapping[str, Path]) -> None:
        write_picture(files["overlay"], self.draw(image))
        write_labels(files["labels"], self.labels, self.palette)


class Segmenter(Predictor[LabelMap]):
    """A trained segmentation network that takes image files or arrays.

    Tiles are mmseg's sliding window: scores are averaged over the overlap, and those of all classes
    are still held for the whole image.

    Raises:
        ConfigError: The number of classes is not that of the network, or more than labels of 8 bits
            have room for.
    """

    kind = EncoderDecoder
    result = LabelMap
    options = ("tiles",)
    table = "labels.json"
    judged = "predicted | true"
    done = "segmented; overlays, label maps and labels.json"

    def __init__(self, model: Any, setting: Setting) -> None:
        super().__init__(model, setting)
        # Otherwise labels would get the names and colours of other classes.
        numbers = (model.num_classes, len(setting.classes))
        if numbers[0] != numbers[1] or max(numbers) > MAX_CLASSES:
            raise ConfigError(
                f"{setting.source}: expected a model with the classes that the test data set "
                f"names, or else the checkpoint, at most {MAX_CLASSES}, found {numbers[0]} in the "
                f"model and {numbers[1]} names"
            )

    @classmethod
    def setting_of(cls, cfg: Config, trained_on: Mapping[str, Any]) -> Setting:
        """As the config says; names and colours of the classes are those of its test data set.

        Where the config does not name them, as for a :class:`SegFolder` with ``classes.txt``, they
        are those that the checkpoint was trained on.
        """
        classes, palette = classes_and_palette(cfg, trained_on)
        setting = super().setting_of(cfg, trained_on)
        return setting._replace(classes=classes, palette=palette)

    @classmethod
    def tiled(cls, cfg: Config, tiles: Mapping[str, int]) -> dict[str, Any]:
        return {"test_cfg": _sliding_window(cfg, **tiles)}

    def read(self, sample: Any) -> LabelMap:
        return self._label_map(sample.pred_sem_seg)

    def judge(self, sample: Any) -> Judgement | None:
        """By the mean IoU of the classes that the image shows or that were seen in it."""
        truth = sample.get("gt_sem_seg")
        if truth is None:
            return None
        predicted, true = self.read(sample), self._label_map(truth)
        known = true.labels != IGNORE
        if predicted.labels.shape != true.labels.shape or not known.any():
            return None
        guess, label = predicted.labels[known], true.labels[known]
        # One count of all classes: a pair of masks for each would take gigabytes.
        both, guessed, labelled = (
            np.bincount(values, minlength=MAX_CLASSES)[: len(self.setting.classes)]
            for values in (guess[guess == label], guess, label)
        )
        either = guessed + labelled - both
        iou = float(np.mean(both[either > 0] / either[either > 0]))
        return Judgement(1 - iou, f"mIoU {iou:.0%}")

    def draw_judged(self, sample: Any, image: Picture) -> Picture:
        """The predicted label map on the left, the true one on the right."""
        maps = (self.read(sample), self._label_map(sample.gt_sem_seg))
        predicted, true = (label_map.overlay(image) for label_map in maps)
        gap = np.full((len(true), max(2, true.shape[1] // 80), 3), 255, np.uint8)
        return np.hstack((predicted, gap, true))

    def _label_map(self, labels: Any) -> LabelMap:
        array = labels.data.squeeze(0).cpu().numpy().astype(np.uint8)
        return LabelMap(array, self.setting.classes, self.setting.palette)


def classes_and_palette(
    cfg: Config, known: Mapping[str, Any] = MappingProxyType({})
) -> tuple[tuple[str, ...], npt.NDArray[np.uint8]]:
    """Names and RGB colours (N, 3) of the classes of a config's test data set, which is not read.

    Colours are those of the data set's class, or, if it has none, those of Pascal VOC's scheme.
    Both are empty if nothing names the classes.

    Args:
        cfg: The config.
        known: The ``metainfo`` of its data set, or a checkpoint's ``dataset_meta``, whose classes
            are taken where the config names none.
    """
    dataset = innermost(dataset_config(cfg))
    kind = dataset["type"]
    kind = DATASETS.get(kind) if isinstance(kind, str) else kind
    own = getattr(kind, "METAINFO", {})
    metainfo = {**own, **(dataset.get("metainfo") or {})}
    classes = tuple(metainfo.get("classes") or known.get("classes") or ())
    palette = metainfo.get("palette") or voc_palette(len(classes))
    if len(palette) != len(classes):  # the config has chosen some of the data set's classes
        colours = dict(zip(own.get("classes", ()), palette, strict=False))
        palette = [colours.get(name, _voc_colour(i)) for i, name in enumerate(classes)]
    return classes, np.array(palette, dtype=np.uint8)


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


def voc_palette(number: int) -> list[list[int]]:
    """RGB of the first classes after the background, in Pascal VOC's scheme."""
    return [_voc_colour(index) for index in range(number)]


def _voc_colour(index: int) -> list[int]:
    """Colour of a class in Pascal VOC's scheme: the index's bits go to red, green, blue in turn."""
    index += 1  # the first colour, black, belongs to the background
    bits = [[index >> (3 * place + channel) & 1 for place in range(3)] for channel in range(3)]
    return [sum(bit << (7 - place) for place, bit in enumerate(channel)) for channel in bits]
