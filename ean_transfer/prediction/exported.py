"""An exported file in the place of a trained model, so that predictors can run it."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.structures import PixelData
from mmpretrain.datasets import PackInputs
from mmseg.datasets import PackSegInputs
from torch import Tensor

from ean_transfer.crowd_counting.transforms import PackCountingInputs
from ean_transfer.engine.inference import Setting
from ean_transfer.errors import DataError
from ean_transfer.export.files import PREFIX, failing_as, read_metadata, run_onnx, run_program
from ean_transfer.export.preparation import preparation_steps
from ean_transfer.segmentation.inference import voc_palette

SUFFIXES = (".onnx", ".pt2")
"""Ends of the names of exported files."""

Outputs = Mapping[str, Tensor]


class ExportedModel:
    """The network in an exported file, with the ``test_step`` of a model of its task.

    It takes images whole, one at a time, on the CPU.

    Args:
        file: An ``.onnx`` or ``.pt2`` file that ``ean export`` wrote.
        gives_rgb: Whether the batches hold RGB images; else BGR.

    Attributes:
        about: What the file says of itself, by name.
        classes: Name of each class; their numbers where the file has no names.

    Raises:
        ExportError, ConfigError: The file cannot be read or run.
    """

    def __init__(self, file: str | os.PathLike[str], gives_rgb: bool = False) -> None:
        self.file = Path(file)
        self.gives_rgb = gives_rgb
        metadata = read_metadata(file)
        self.about = {name.removeprefix(PREFIX): text for name, text in metadata.items()}
        with failing_as(f"{file}: expected a network that runs here"):
            is_onnx = self.file.suffix.lower() == ".onnx"
            self._run = (run_onnx if is_onnx else run_program)(self.file)
        numbers = map(str, range(int(self.about.get("num_classes", 0))))
        self.classes = tuple(map(str, self._said("classes") or numbers))
        self.shape = self._said("shape")

    @property
    def num_classes(self) -> int:
        """The number of classes that its outputs tell apart."""
        return len(self.classes)

    def setting(self) -> Setting:
        """How images are prepared and what the outputs mean, as far as the file says it."""
        if "preparation" not in self.about:
            print_log(
                f"{self.file}: does not say how images are prepared, so they are taken as they "
                "are; name the config as well to prepare them as in training",
                logger="current",
                level=logging.WARNING,
            )
        steps = preparation_steps(self.about.get("preparation", "[]"))
        palette = self._said("palette") or voc_palette(self.num_classes)
        return Setting(
            str(self.file),
            [*steps, dict(type=_PACKERS[self.about["task"]])],
            self.classes,
            np.array(palette, dtype=np.uint8).reshape(-1, 3),
        )

    def test_step(self, batch: Mapping[str, Any]) -> list[Any]:
        """The samples of a batch with their predictions.

        Args:
            batch: ``inputs``, a list of images (3, H, W) uint8; ``data_samples``.

        Raises:
            DataError: An image has another size than the one that the file was made for, or the
                network fails on it.
        """
        complete = _READERS[self.about["task"]]
        pairs = zip(batch["inputs"], batch["data_samples"], strict=True)
        return [complete(self._outputs(image), sample) for image, sample in pairs]

    def _outputs(self, image: Tensor) -> Outputs:
        height, width = image.shape[-2:]
        batch = (image if self.gives_rgb else image.flip(0)).float()[None]
        if self.shape is not None:
            number, *size = self.shape
            if [height, width] != size:
                raise DataError(
                    f"{self.file}: expected images of {size[0]} x {size[1]} pixels (H x W), which "
                    f"the file was made for, found {height} x {width}: resize them, or export "
                    "without --static"
                )
            batch = batch.expand(number, -1, -1, -1).contiguous()
        # A fault of this image alone, such as one that is smaller than the network's pool.
        problem = f"{self.file}: the network fails on {height} x {width} pixels (H x W)"
        with failing_as(problem, DataError):
            return {name: value[:1] for name, value in self._run(batch).items()}

    def _said(self, name: str) -> Any:
        text = self.about.get(name)
        return None if text is None else json.loads(text)


def _classified(outputs: Outputs, sample: Any) -> Any:
    return sample.set_pred_score(outputs["scores"][0])


def _segmented(outputs: Outputs, sample: Any) -> Any:
    labels, size = outputs["labels"], tuple(sample.ori_shape[:2])
    if tuple(labels.shape[-2:]) != size:  # as mmseg: the scores are resized, not the labels
        logits = F.interpolate(outputs["logits"].float(), size, mode="bilinear")
        labels = logits.argmax(dim=1)
    return sample.set_data({"pred_sem_seg": PixelData(data=labels)}) or sample


def _counted(outputs: Outputs, sample: Any) -> Any:
    density = outputs["density"][0, 0].float()
    sides = zip(sample.img_shape[:2], density.shape, strict=True)
    pairs = list(sides)
    strides = (2**power for power in range(10))
    stride = next(s for s in strides if all(-(-side // s) == cells for side, cells in pairs))
    sample.set_metainfo({"pred_stride": stride})
    sample.pred_density = density
    sample.pred_count = density.double().sum().item()
    return sample


_READERS: dict[str, Callable[[Outputs, Any], Any]] = {
    "classification": _classified,
    "segmentation": _segmented,
    "crowd counting": _counted,
}
_PACKERS: dict[str, type] = {
    "classification": PackInputs,
    "segmentation": PackSegInputs,
    "crowd counting": PackCountingInputs,
}
