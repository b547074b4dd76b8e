"""Predicting one's own images, whatever the task: trained models, image files, results."""

from __future__ import annotations

import copy
import json
import logging
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.registry import MODELS
from torch import nn

from ean_transfer.engine.config import model_class, set_ticket_of
from ean_transfer.engine.config_errors import config_errors
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import refuse_to_replace, write_atomically
from ean_transfer.io.image_files import IMAGE_SUFFIXES, list_images
from ean_transfer.io.images import read_image
from ean_transfer.visualization.picture import Picture

Model = TypeVar("Model", bound=nn.Module)
Result = TypeVar("Result")


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


def find_images(paths: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Image files in the order of the paths; those of a folder in the order of their names.

    What is left out of a folder is logged: by its suffix no image, or hidden, such as the
    ``._a.jpg`` of macOS.

    Raises:
        DataError: A path does not exist, or a folder holds no image.
    """
    images: list[Path] = []
    for path in map(Path, paths):
        if path.is_file():
            images.append(path)
            continue
        listed = list_images(path)
        others = listed.left_out_text()
        if not listed.images:
            raise DataError(
                f"{path}: expected an image or a folder of images ({', '.join(IMAGE_SUFFIXES)}), "
                f"found {'none in it' if path.exists() else 'no such file'}"
                f"{others and f' ({others})'}"
            )
        if others:
            print_log(others, logger="current", level=logging.WARNING)
        images += listed.images
    return images


def predict_images(
    images: Sequence[Path],
    folder: str | os.PathLike[str],
    table: str,
    suffixes: Sequence[str],
    predict: Callable[[Picture, list[Path]], tuple[Result, dict[str, Any]]],
) -> Iterator[tuple[Path, Result | DataError]]:
    """Predict each image, write its files and, at the end, a table of all.

    An image that cannot be read is reported and does not stop the others. The table is also written
    if the caller stops in between.

    Args:
        images: The image files.
        folder: Folder for everything that is written; made if there is none.
        table: Name of the table's file: a list of ``{"image", "width", "height", ...}``, or
            ``{"image", "error"}``.
        suffixes: Endings of the files that an image gets. They are named after it, and numbered
            where names repeat.
        predict: Function from an image (H, W, 3) uint8 BGR and the files to write for it, to the
            prediction and its entries in the table. May raise DataError.

    Yields:
        Each image with its prediction, or with the error that it ended in.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and no
            table of an earlier run.
        OSError: A file cannot be written.
    """
    out = Path(folder)
    files = [[out / f"{name}{suffix}" for suffix in suffixes] for name in _unique_names(images)]
    _require_nothing_is_lost(images, [file for row in files for file in row], out / table)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def write_table() -> None:
        write_atomically(out / table, json.dumps(rows, indent=2) + "\n")

    if not (out / table).exists():
        write_table()  # were the process killed, the folder would not be recognised as ours
    try:
        for image, its_files in zip(images, files, strict=True):
            row: dict[str, Any] = {"image": str(image)}
            rows.append(row)
            try:
                pixels = read_image(image)
                result, entries = predict(pixels, its_files)
            except DataError as error:
                row["error"] = str(error) if str(image) in str(error) else f"{image}: {error}"
                yield image, DataError(row["error"])
                continue
            row |= {"width": pixels.shape[1], "height": pixels.shape[0], **entries}
            yield image, result
    finally:
        write_table()


def write_picture(file: Path, picture: Picture) -> None:
    """Write an RGB picture (H, W, 3).

    Raises:
        OSError: The file cannot be written.
    """
    if not cv2.imwrite(str(file), np.ascontiguousarray(picture[..., ::-1])):
        raise OSError(f"{file}: cannot be written; is the disk full?")


def _unique_names(images: Sequence[Path]) -> list[str]:
    """A name for each image: its own, numbered where another image has it too."""
    names: list[str] = []
    taken: set[str] = set()
    for image in images:
        name, number = image.stem, 2
        while name.lower() in taken:  # some file systems take a and A for the same name
            name, number = f"{image.stem}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _require_nothing_is_lost(images: Sequence[Path], files: Sequence[Path], table: Path) -> None:
    """Refuse a folder where images or others' files would be replaced, or be taken for results."""
    folder = table.parent.resolve()
    beside = [image for image in images if image.resolve().parent == folder]
    earlier = _is_table(table)  # then the files beside it are an earlier run's
    refuse_to_replace(
        [*beside, *files, table],
        f"another folder for the results, a new one or one with the {table.name} of an earlier run",
        lambda file: earlier and file not in beside,
    )


def _is_table(file: Path) -> bool:
    """Whether a file is a table as :func:`predict_images` writes it."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(rows, list) and all(isinstance(row, dict) and "image" in row for row in rows)
