"""mmseg's data sets, checked for missing and misfitting files before anything is trained.

:class:`CheckedSegDataset` takes the place of mmseg's ``BaseSegDataset``. A checked version of
another data set of mmseg is made by deriving from both::

    class CheckedLoveDADataset(CheckedSegDataset, LoveDADataset):
        pass

All files are local: mmengine's remote storage is not supported.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.registry import DATASETS
from mmseg.datasets import ADE20KDataset, BaseSegDataset, CityscapesDataset, PascalVOCDataset

from ean_transfer.data.loading import exif_of, refuse_unclear_orientation, turned_images
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.images import read_image_size
from ean_transfer.segmentation.loading import CheckedAnnotations
from ean_transfer.segmentation.pairs import NamedFiles, find_pairs
from ean_transfer.segmentation.survey import LabelSurvey, survey_labels


@DATASETS.register_module()
class CheckedSegDataset(BaseSegDataset):
    """mmseg's data set of folders or lists, whose files are checked when it is built.

    Every listed image must be there, every image must have its label file, and the labels of the
    first image must be of the image's size and of the data set's classes. Files that are left out,
    and label files without an image, are counted in the log.

    Args:
        **kwargs: Arguments of ``BaseSegDataset``: ``data_root``, ``data_prefix``, ``ann_file``,
            ``img_suffix``, ``seg_map_suffix``, ``metainfo=dict(classes=...)``, ... Without
            ``seg_map_path`` in ``data_prefix`` the data set has no labels. A suffix is text or a
            list of texts, and holds in capitals as well.

    Raises:
        DataError: A folder, a list, an image or a label file is missing; two images have the same
            label file; the first image's labels do not fit it; or an image's EXIF orientation
            leaves open how its labels lie on it (see
            :class:`~ean_transfer.data.loading.LoadImage`).
        ConfigError: The metainfo has no classes, or others than the data set's own.
    """

    @classmethod
    def get_label_map(cls, new_classes: Sequence[str] | None = None) -> dict[int, int] | None:
        """Label in the files -> label in training, where some of the classes are chosen."""
        own = cls.METAINFO.get("classes", ())
        unknown = [name for name in new_classes or () if name not in own]
        if own and unknown:
            raise ConfigError(
                f"{cls.__name__}: expected metainfo classes among its own ({own[0]} ... {own[-1]})"
                f", found {unknown[0]!r}; classes of your own belong to CheckedSegDataset, see "
                "docs/own_segmentation.md"
            )
        label_map: dict[int, int] | None = super().get_label_map(new_classes)
        return label_map

    def _update_palette(self) -> list[Any]:
        try:
            palette: list[Any] = super()._update_palette()
        except ValueError:
            classes, colours = (self.metainfo.get(key, ()) for key in ("classes", "palette"))
            raise ConfigError(
                f"{type(self).__name__}: expected metainfo with one colour per class in palette, "
                f"or no palette, found {len(colours)} colours and {len(classes)} classes"
            ) from None
        return palette

    def load_data_list(self) -> list[dict[str, Any]]:
        """mmseg's ``{img_path, seg_map_path, label_map, ...}``, plus ``num_classes``."""
        for key, path in {**self.data_prefix, "ann_file": self.ann_file}.items():
            if path and not os.path.exists(path):
                expected = f"expected the data set's {key}; unpack it there, or check data_root"
                raise DataError(f"{path}: no such file or folder, {expected}")
        infos = self._pairs()
        require_files(infos)
        num_classes = len(self.metainfo.get("classes", ()))
        for info in infos:
            info["num_classes"] = num_classes  # a pipeline's step knows the sample alone
        # Reading all labels would take minutes; the first one shows whether the version is right.
        if "seg_map_path" in (first := infos[0]):
            exif = exif_of(self.pipeline.transforms)
            if exif is None:
                images = turned_images(info["img_path"] for info in infos)
                # Elsewhere the labels' size tells which one is meant, when they are read.
                refuse_unclear_orientation([file for file in images if _keeps_size(file)])
            size = read_image_size(first["img_path"], exif or "apply")
            CheckedAnnotations().transform({**first, "ori_shape": size, "seg_fields": []})
        return infos

    def survey(self) -> LabelSurvey:
        """What the label files hold; see :class:`~ean_transfer.segmentation.survey.LabelSurvey`."""
        samples = [self.get_data_info(index) for index in range(len(self))]
        return survey_labels(samples, self.metainfo["classes"])

    def _pairs(self) -> list[dict[str, Any]]:
        folder, labels = self.data_prefix["img_path"], self.data_prefix.get("seg_map_path")
        images = NamedFiles(folder, self.img_suffix)
        label_files = None if labels is None else NamedFiles(labels, self.seg_map_suffix)
        pairs = find_pairs(images, label_files, self._listed(images))
        if not pairs:
            raise DataError(
                f"{self.ann_file or folder}: expected images (*{' *'.join(images.suffixes)}), "
                "found none; check img_suffix"
            )
        mapping = {"label_map": self.label_map, "reduce_zero_label": self.reduce_zero_label}
        return [
            {"img_path": image, **({} if label is None else {"seg_map_path": label})}
            | mapping
            | {"seg_fields": []}
            for image, label in pairs
        ]

    def _listed(self, images: NamedFiles) -> Sequence[str] | None:
        """Names of the images to take; ``None`` for all of them."""
        if not self.ann_file or os.path.isdir(self.ann_file):
            return None
        text = Path(self.ann_file).read_text(encoding="utf-8-sig")  # Windows' editors add a mark
        return [line.strip() for line in text.splitlines() if line.strip()]


@DATASETS.register_module()
class CheckedADE20KDataset(CheckedSegDataset, ADE20KDataset):
    """mmseg's ``ADE20KDataset``, checked."""


@DATASETS.register_module()
class CheckedCityscapesDataset(CheckedSegDataset, CityscapesDataset):
    """mmseg's ``CityscapesDataset``, checked."""


@DATASETS.register_module()
class CheckedPascalVOCDataset(CheckedSegDataset, PascalVOCDataset):
    """mmseg's ``PascalVOCDataset``, checked."""


def require_files(infos: Sequence[Mapping[str, Any]]) -> None:
    """Refuse samples whose image or label file is missing.

    Args:
        infos: Samples as ``load_data_list`` gives them, with ``img_path`` and, if they are
            labelled, ``seg_map_path``.

    Raises:
        DataError: A file is missing; the first one is named.
    """
    for key, what in (("img_path", "the image"), ("seg_map_path", "the labels of")):
        missing = [info for info in infos if key in info and not os.path.isfile(info[key])]
        if missing:
            file, image = missing[0][key], missing[0]["img_path"]
            raise DataError(
                f"{file}: no such file, expected {what} {image}{_and_more(missing)}; add the file, "
                "take the image out, or check img_suffix and seg_map_suffix"
            )


def _keeps_size(image: str) -> bool:
    """Whether an image has the same size when its EXIF orientation is applied."""
    return read_image_size(image) == read_image_size(image, "ignore")


def _and_more(things: Sequence[Any]) -> str:
    return f" (and {len(things) - 1} more)" if len(things) > 1 else ""
