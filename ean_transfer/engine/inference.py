"""Predicting one's own images, whatever the task: trained models, and predictors around them.

Each task has a subclass of :class:`Predictor` and a result, see
:mod:`~ean_transfer.engine.results`; what reads images and writes files around them is in
:mod:`ean_transfer.prediction`.
"""

from __future__ import annotations

import copy
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, TypeAlias, TypeVar, overload

import cv2
import numpy as np
import numpy.typing as npt
import torch
from mmengine.config import Config
from mmengine.dataset import Compose, pseudo_collate
from mmengine.device import get_device
from mmengine.registry import MODELS, TRANSFORMS
from torch import nn

from ean_transfer.data.config import class_names, dataset_config, gives_rgb, innermost
from ean_transfer.data.loading import exif_of
from ean_transfer.engine.config import model_class, set_ticket_of
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.results import Judgement, Prediction
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.images import Exif, read_image
from ean_transfer.visualization.picture import Picture

Model = TypeVar("Model", bound=nn.Module)
Image: TypeAlias = str | os.PathLike[str] | npt.NDArray[np.uint8]
"""A file, or an array (H, W, 3) uint8 in BGR, as OpenCV gives it."""


class Setting(NamedTuple):
    """What a predictor needs to know beside the network itself.

    Attributes:
        source: The config, or the exported file, that says it; for messages.
        pipeline: Steps that prepare an image; of those that load files only ``exif`` is read.
        classes: Name of each class, if they are known.
        palette: RGB of each class, (classes, 3), if it is known.
        gives_rgb: Whether the network's preprocessor expects RGB; else BGR.
    """

    source: str
    pipeline: Sequence[Any]
    classes: tuple[str, ...] = ()
    palette: npt.NDArray[np.uint8] = np.zeros((0, 3), np.uint8)
    gives_rgb: bool = False


Result = TypeVar("Result", bound=Prediction)


class Predictor(ABC, Generic[Result]):
    """A trained network that takes image files or arrays. Base of the tasks' predictors.

    Args:
        model: The network: anything with mmengine's ``test_step(batch) -> samples``.
        setting: What it needs beside.

    Attributes:
        exif: What is done with the EXIF orientation of a file.
    """

    kind: ClassVar[type]
    """The class of the models of this task."""
    options: ClassVar[tuple[str, ...]] = ()
    """Names of the arguments that only this task's predictor takes, ``tiles`` among them."""
    table: ClassVar[str]
    """Name of the file with the results of many images."""
    done: ClassVar[str]
    """What was done to the images and what was written, for the last line of a program."""
    result: ClassVar[type[Prediction]]
    """The class of its results."""
    judged: ClassVar[str] = ""
    """What stands left and right in a picture of :meth:`draw_judged`, if it has two parts."""
    points_table: str | None = None
    """Name of the file with the points of many images, if results have ``points`` to list."""

    def __init__(self, model: Any, setting: Setting) -> None:
        self.model = model
        self.setting = setting
        self.pipeline = Compose([step for step in setting.pipeline if not _loads_files(step)])
        self.exif: Exif = exif_of(setting.pipeline) or "apply"

    @classmethod
    def trained(
        cls,
        cfg: Config,
        checkpoint: str | os.PathLike[str],
        tiles: Mapping[str, int] | None = None,
        device: str | None = None,
        **options: Any,
    ) -> Predictor[Result]:
        """The predictor of a config's network with a checkpoint's weights.

        Args:
            cfg: The config that the network was trained with, left as it is. Its test pipeline
                prepares the images; its test data set need not be on this machine.
            checkpoint: The checkpoint, whose ticket the backbone is built with.
            tiles: ``dict(size=..., overlap=...)`` in pixels of the network's input: larger inputs
                are predicted in tiles, which bounds the network's memory. The overlap is about a
                quarter of the size by default. Without tiles those of the config hold.
            device: Device to compute on; by default an accelerator, if there is one.
            **options: Other arguments of the class.

        Raises:
            ConfigError: The config's model is of another task, or something does not fit it.
            CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
        """
        changes = None if tiles is None else cls.tiled(cfg, tiles)
        model: nn.Module = load_trained(cfg, checkpoint, cls.kind, changes, device)
        return cls(model, cls.setting_of(cfg, _trained_on(checkpoint)), **options)

    @classmethod
    def setting_of(cls, cfg: Config, trained_on: Mapping[str, Any]) -> Setting:
        """The setting that a config says, and the ``dataset_meta`` of a checkpoint."""
        return Setting(
            str(cfg.filename),
            innermost(dataset_config(cfg))["pipeline"],
            tuple(class_names(cfg, trained_on) or ()),
            gives_rgb=gives_rgb(cfg),
        )

    @classmethod
    def tiled(cls, cfg: Config, tiles: Mapping[str, int]) -> dict[str, Any]:
        """Changes to a config's model so that it predicts in tiles."""
        return {"tiles": tiles}

    @torch.no_grad()
    def __call__(self, image: Image) -> Result:
        """Predict one image.

        Raises:
            DataError: The file cannot be read, the array is no such image, or either is too slim
                for the pipeline.
        """
        pixels = image if isinstance(image, np.ndarray) else read_image(image, self.exif)
        # The network would take values from 0 to 1, or of 16 bits, without any error.
        if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[2] != 3:
            raise DataError(
                "expected an array (H, W, 3) of uint8 in BGR, as cv2.imread gives it, found shape "
                f"{pixels.shape} of {pixels.dtype}: convert it, or give the image's file"
            )
        size = pixels.shape[:2]
        if self.setting.gives_rgb:
            pixels = np.ascontiguousarray(pixels[..., ::-1])
        try:
            inputs = self.pipeline({"img": pixels, "img_shape": size, "ori_shape": size})
        except cv2.error as error:  # e.g. 1000 x 1 pixels, resized to a height of 0
            actual = f"{size[1]} x {size[0]} pixels ({' '.join(str(error).split())})"
            raise DataError(f"expected an image for the test pipeline, found {actual}") from error
        (sample,) = self.model.test_step(pseudo_collate([inputs]))
        return self.read(sample)

    @overload
    def predict(self, images: Image) -> Result: ...
    @overload
    def predict(self, images: list[Image]) -> list[Result]: ...
    def predict(self, images: Any) -> Result | list[Result]:
        """Predict one image, or each of several.

        Args:
            images: A file; an array (H, W, 3) uint8 in BGR, as OpenCV gives it; or a list of them.

        Returns:
            The result, or a list of results.

        Raises:
            DataError: A file cannot be read, an array is no such image, or an image is too slim
                for the pipeline.
        """
        return [self(image) for image in images] if isinstance(images, list) else self(images)

    @abstractmethod
    def read(self, sample: Any) -> Result:
        """The result that a predicted sample holds."""

    @abstractmethod
    def judge(self, sample: Any) -> Judgement | None:
        """Compare a sample, as the model's test step returns it, with its truth; ``None`` if it has
        none.
        """

    @abstractmethod
    def draw_judged(self, sample: Any, image: Picture) -> Picture:
        """A sample's prediction and truth.

        Args:
            sample: A sample that has a truth.
            image: The network's input image (H, W, 3), RGB.
        """


def load_trained(
    cfg: Config,
    checkpoint: str | os.PathLike[str],
    kind: type[Model],
    changes: Mapping[str, Any] | None = None,
    device: str | None = None,
) -> Model:
    """A config's model with a checkpoint's weights and ticket, for evaluation.

    Args:
        cfg: The config that the model was trained with; left as it is.
        checkpoint: The model's checkpoint, whose ticket the backbone is built with.
        kind: Class that the model must have or derive from.
        changes: Arguments of the model that differ from the config's.
        device: Device to compute on; an accelerator by default, if there is one.

    Raises:
        ConfigError: The model is of another kind, or there is no such device.
        CheckpointError: The checkpoint cannot be read or is of another network.
        TicketError: The checkpoint carries something that is not a ticket, or another one.
    """
    model_class(cfg, kind)
    cfg = copy.deepcopy(cfg)
    set_ticket_of(cfg, checkpoint)
    cfg.model.update(changes or {})
    with config_errors(cfg):
        model: Model = MODELS.build(cfg.model)
    load_model(model, checkpoint)
    return on_device(model, device).eval()


def on_device(model: Model, device: str | None) -> Model:
    """Move a model to a device, by default an accelerator if there is one.

    Raises:
        ConfigError: There is no such device.
    """
    try:
        return model.to(device or get_device())
    except (RuntimeError, AssertionError) as error:  # torch raises both, by what is missing
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"expected a device to compute on, found {device}: {reason}") from error


def _trained_on(checkpoint: str | os.PathLike[str]) -> dict[str, Any]:
    meta: dict[str, Any] = read_checkpoint(checkpoint).get("meta", {}).get("dataset_meta") or {}
    return meta


def _loads_files(step: Any) -> bool:
    """Whether a step of a pipeline reads the image, which is already in memory, or the labels.

    Such steps derive from mmcv's ``LoadImageFromFile`` or ``LoadAnnotations``, or begin with Load.
    """
    kind = step["type"] if isinstance(step, dict) else type(step)
    kind = TRANSFORMS.get(kind) if isinstance(kind, str) else kind
    return any(base.__name__.startswith("Load") for base in getattr(kind, "__mro__", ()))
