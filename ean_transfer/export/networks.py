"""Each of the three tasks as one module from pixels to answers, which can be exported."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmpretrain.models import ClsHead, ImageClassifier
from mmpretrain.structures import DataSample
from mmseg.models import EncoderDecoder
from mmseg.structures import SegDataSample
from torch import Tensor, nn

from ean_transfer.attention.pooling import averaging_matrix
from ean_transfer.crowd_counting import CountingDataSample, DensityCounter
from ean_transfer.engine.config import model_class
from ean_transfer.errors import ConfigError
from ean_transfer.export.options import GraphOptions
from ean_transfer.segmentation.inference import classes_and_palette


class PixelNetwork(nn.Module, ABC):
    """Base of the tasks' networks: a model with its data preprocessor inside.

    Normalisation, channel order and padding are part of it: ``forward`` takes images
    (N, 3, H, W) float32, RGB, 0..255, and returns the outputs by name.

    Args:
        model: The task's model; changed so that it can be exported, but not in what it computes.
        fed_rgb: Whether the model's preprocessor expects RGB; else BGR.
        options: Precision and type of the labels; the size and the operators are the file's affair.

    Raises:
        ConfigError: The model does something that the outputs do not express.
    """

    task: ClassVar[str]
    kind: ClassVar[type]
    """The class of the models of this task."""
    outputs: ClassVar[tuple[str, ...]]

    def __init__(self, model: Any, fed_rgb: bool, options: GraphOptions | None = None) -> None:
        super().__init__()
        self.options = options or GraphOptions()
        if obstacle := self.obstacle(model):
            raise ConfigError(f"this network cannot be exported: {obstacle}")
        preprocessor = model.data_preprocessor
        # mmpretrain's and mmengine's names for "swaps R and B".
        swaps = getattr(preprocessor, "to_rgb", False) or getattr(
            preprocessor, "_channel_conversion", False
        )
        self.wants_bgr = fed_rgb == bool(swaps)
        self.mean: Tensor | None
        self.std: Tensor
        self.register_buffer("mean", getattr(preprocessor, "mean", None))
        self.register_buffer("std", getattr(preprocessor, "std", None))
        self.divisor = self.padded_to_multiples_of(preprocessor)
        self.pad_value = float(preprocessor.pad_value)
        _use_exportable_pools(model)
        self.model = model.to(self.options.dtype)

    @staticmethod
    def obstacle(model: Any) -> str:
        """What the model does that the outputs do not express, in words; empty if nothing."""
        return ""

    def padded_to_multiples_of(self, preprocessor: Any) -> int:
        """The number of pixels that the preprocessor pads a test image to multiples of."""
        return int(preprocessor.pad_size_divisor)

    def prepared(self, image: Tensor) -> Tensor:
        """Apply the preprocessor's test-time steps to images (N, 3, H, W)."""
        x = image.flip(1) if self.wants_bgr else image
        if self.mean is not None:
            x = (x - self.mean) / self.std
        if self.divisor > 1:
            below, right = (self.divisor - 1 - (side - 1) % self.divisor for side in x.shape[-2:])
            x = F.pad(x, (0, right, 0, below), value=self.pad_value)
        return x.to(self.options.dtype)

    @staticmethod
    def whole_images(model: Mapping[str, Any]) -> dict[str, Any]:
        """Arguments with which a config's model takes images whole."""
        return {}

    @staticmethod
    @abstractmethod
    def expected(model: Any, images: Tensor) -> dict[str, Tensor]:
        """The outputs of a model's own test step, through its own preprocessor, by name.

        Args:
            model: The task's model, in evaluation mode.
            images: (N, 3, H, W) uint8, in the order of channels that its preprocessor expects.
        """

    @abstractmethod
    def outputs_text(self) -> str:
        """The outputs' types, shapes and units, for those who run the file."""

    @property
    def num_classes(self) -> int | None:
        """The number of classes that the outputs tell apart; ``None`` if they tell none."""
        return None

    @staticmethod
    def palette(cfg: Config) -> list[list[int]]:
        """RGB of each class of a config's data; empty for a task without colours."""
        return []


class ClassifierNetwork(PixelNetwork):
    """mmpretrain's ``ImageClassifier``: probabilities and logits (N, classes)."""

    task = "classification"
    kind = ImageClassifier
    outputs = ("scores", "logits")

    @staticmethod
    def obstacle(model: Any) -> str:
        if isinstance(model.head, ClsHead):  # other heads have other probabilities than a softmax
            return ""
        return f"expected a ClsHead, such as LinearClsHead, found {type(model.head).__name__}"

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        logits = self.model.head(self.model.extract_feat(self.prepared(image))).float()
        return {"scores": logits.softmax(dim=1), "logits": logits}

    @staticmethod
    def expected(model: Any, images: Tensor) -> dict[str, Tensor]:
        samples = [DataSample() for _ in images]
        predicted = model.test_step({"inputs": list(images), "data_samples": samples})
        inputs = model.data_preprocessor({"inputs": list(images)})["inputs"]
        return {
            "scores": torch.stack([sample.pred_score for sample in predicted]),
            "logits": model(inputs),
        }

    def outputs_text(self) -> str:
        return "scores: float32 (N, classes), probabilities; logits: float32 (N, classes)"

    @property
    def num_classes(self) -> int | None:
        return getattr(self.model.head, "num_classes", None)


class SegmentorNetwork(PixelNetwork):
    """mmseg's ``EncoderDecoder`` on whole images: labels (N, H, W), logits (N, classes, H, W)."""

    task = "segmentation"
    kind = EncoderDecoder
    outputs = ("labels", "logits")

    def __init__(self, model: Any, fed_rgb: bool, options: GraphOptions | None = None) -> None:
        super().__init__(model, fed_rgb, options)
        self.labels_type = getattr(torch, self.options.labels)
        if model.with_auxiliary_head:
            del model.auxiliary_head  # used only in training; a file would hold its weights

    @staticmethod
    def obstacle(model: Any) -> str:
        if model.out_channels == 1:
            return "expected a decode head with one output per class, found a single output"
        if size := (model.data_preprocessor.test_cfg or {}).get("size"):
            return (
                f"expected images of any size, found a data_preprocessor that pads to {size} in a "
                "test: take size out of its test_cfg"
            )
        return ""

    def padded_to_multiples_of(self, preprocessor: Any) -> int:
        return (preprocessor.test_cfg or {}).get("size_divisor") or 1

    @staticmethod
    def whole_images(model: Mapping[str, Any]) -> dict[str, Any]:
        return {"test_cfg": {**(model.get("test_cfg") or {}), "mode": "whole"}}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        height, width = image.shape[-2:]
        x = self.prepared(image)
        logits = self.model.encode_decode(x, [{"img_shape": x.shape[-2:]}])
        logits = logits[..., :height, :width].float()
        return {"labels": logits.argmax(dim=1).to(self.labels_type), "logits": logits}

    @staticmethod
    def expected(model: Any, images: Tensor) -> dict[str, Tensor]:
        size = tuple(images.shape[-2:])
        samples = [SegDataSample(metainfo={"img_shape": size, "ori_shape": size}) for _ in images]
        predicted = model.test_step({"inputs": list(images), "data_samples": samples})
        return {
            "labels": torch.cat([sample.pred_sem_seg.data for sample in predicted]),
            "logits": torch.stack([sample.seg_logits.data for sample in predicted]),
        }

    def outputs_text(self) -> str:
        labels = f"labels: {self.options.labels} (N, H, W), class indices"
        return f"{labels}; logits: float32 (N, classes, H, W)"

    @property
    def num_classes(self) -> int | None:
        return self.model.num_classes

    @staticmethod
    def palette(cfg: Config) -> list[list[int]]:
        return classes_and_palette(cfg)[1].tolist() if cfg.get("test_dataloader") else []


class CounterNetwork(PixelNetwork):
    """:class:`DensityCounter` on whole images: counts (N,), density (N, 1, H / s, W / s)."""

    task = "crowd counting"
    kind = DensityCounter
    outputs = ("counts", "density")

    @staticmethod
    def whole_images(model: Mapping[str, Any]) -> dict[str, Any]:
        return {"tiles": None}

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        stride = self.model.stride
        # Not -(-side // stride): ONNX rounds the quotient of a negative number towards zero.
        rows, columns = ((side + stride - 1) // stride for side in image.shape[-2:])
        density = self.model.density(self.prepared(image))[..., :rows, :columns].float()
        return {"counts": density.sum(dim=(1, 2, 3)), "density": density}

    @staticmethod
    def expected(model: Any, images: Tensor) -> dict[str, Tensor]:
        size = tuple(images.shape[-2:])
        samples = [CountingDataSample(metainfo={"img_shape": size}) for _ in images]
        predicted = model.test_step({"inputs": list(images), "data_samples": samples})
        return {
            "counts": torch.tensor([sample.pred_count for sample in predicted]),
            "density": torch.stack([sample.pred_density for sample in predicted])[:, None],
        }

    def outputs_text(self) -> str:
        stride = self.model.stride
        return (
            "counts: float32 (N); density: float32 "
            f"(N, 1, ceil(H / {stride}), ceil(W / {stride})), objects per cell"
        )


def network_class(cfg: Config) -> type[PixelNetwork]:
    """The class for the task of a config's model.

    Raises:
        ConfigError: The model is of none of the three tasks.
    """
    networks = (ClassifierNetwork, SegmentorNetwork, CounterNetwork)
    model = model_class(cfg, *(network.kind for network in networks))
    return next(network for network in networks if issubclass(model, network.kind))


class _ExportablePool(nn.Module):
    """``AdaptiveAvgPool2d`` as two matrix products.

    torch translates the pool to one ONNX slice per cell, made for the size of the example image,
    which fails at any other size.
    """

    def __init__(self, cells: tuple[int, int]) -> None:
        super().__init__()
        self.cells = cells

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, rows, columns)."""
        rows, columns = (
            averaging_matrix((cells,), size, x)
            for cells, size in zip(self.cells, x.shape[-2:], strict=True)
        )
        return rows @ x @ columns.T


def _use_exportable_pools(module: nn.Module) -> None:
    """Replace a module's adaptive pools, except the global ones, which export as they are."""
    for name, child in module.named_children():
        if isinstance(child, nn.AdaptiveAvgPool2d):
            size = child.output_size
            rows, columns = size if isinstance(size, tuple) else (size, size)
            if rows and columns and (rows, columns) != (1, 1):
                setattr(module, name, _ExportablePool((rows, columns)))
        else:
            _use_exportable_pools(child)
