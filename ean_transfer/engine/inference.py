"""What predictions of one's own images share, whatever the task: models, images, files."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import numpy.typing as npt
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.registry import MODELS
from torch import nn

from ean_transfer.engine.config import use_ticket_of
from ean_transfer.engine.weights import load_model
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io.files import write_atomically
from ean_transfer.io.images import read_image

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp")

Picture = npt.NDArray[np.uint8]
Model = TypeVar("Model", bound=nn.Module)
Result = TypeVar("Result")


def model_class(cfg: Config) -> type:
    """The class of a config's model, which is not built.

    Raises:
        ConfigError: The config has no model, or none that is registered.
    """
    kind = (cfg.get("model") or {}).get("type")
    found = MODELS.get(kind) if isinstance(kind, str) else kind
    if not isinstance(found, type):
        raise ConfigError(f"{cfg.filename}: expected a model, found {kind!r} as the model's type")
    return found


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
        checkpoint: Its checkpoint, whose ticket the backbone is built with.
        kind: What the model must be.
        changes: Arguments of the model that differ from the config's.
        device: Where to compute; an accelerator by default, if there is one.

    Raises:
        ConfigError: The model is of another kind, or there is no such device.
        CheckpointError, TicketError: The checkpoint cannot be read or is of another network.
    """
    found = model_class(cfg)
    if not issubclass(found, kind):
        raise ConfigError(
            f"{cfg.filename}: expected {kind.__name__} as its model, found {found.__name__}"
        )
    cfg = copy.deepcopy(cfg)
    use_ticket_of(cfg, checkpoint)
    cfg.model.update(changes or {})
    model: Model = MODELS.build(cfg.model)
    load_model(model, checkpoint)
    try:
        model = model.to(device or get_device())
    except (RuntimeError, AssertionError) as error:  # no such kind of device, or none of it here
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"expected a device to compute on, found {device}: {reason}") from error
    model.eval()
    return model


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
        folder: Gets everything; made if there is none.
        table: Name of a file: a list of ``{"image", "width", "height", ...}``, or
            ``{"image", "error"}``.
        suffixes: Of the files of an image, which are named after it, and numbered where names
            repeat.
        predict: From an image (H, W, 3) uint8 BGR, and its files, which it writes, to the
            prediction and what is said of it in the table. May raise DataError.

    Yields:
        Each image with its prediction or with what was wrong with it.

    Raises:
        ConfigError: The folder is that of an image, or holds files that would be replaced and are
            not of an earlier prediction, whose table lies beside them.
        OSError: A file cannot be written.
    """
    out = Path(folder)
    files = [[out / f"{name}{suffix}" for suffix in suffixes] for name in _unique_names(images)]
    _require_nothing_is_lost(out, images, files, table)
    out.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []

    def write_table() -> None:
        write_atomically(out / table, json.dumps(rows, indent=2) + "\n")

    if not (out / table).exists():
        write_table()  # were the process killed, the folder would not be known as its own
    try:
        for image, its_files in zip(images, files, strict=True):
            row: dict[str, Any] = {"image": str(image)}
            rows.append(row)
            try:
                pixels = read_image(image)
                result, found = predict(pixels, its_files)
            except DataError as error:
                row["error"] = str(error) if str(image) in str(error) else f"{image}: {error}"
                yield image, DataError(row["error"])
                continue
            row |= {"width": pixels.shape[1], "height": pixels.shape[0], **found}
            yield image, result
    finally:
        write_table()


def write_picture(file: Path, picture: Picture) -> None:
    """Write an RGB picture (H, W, 3).

    Raises:
        OSError: It cannot be written.
    """
    if not cv2.imwrite(str(file), np.ascontiguousarray(picture[..., ::-1])):
        raise OSError(f"{file}: cannot be written; is the disk full?")


def _unique_names(images: Sequence[Path]) -> list[str]:
    """A name for each image: its own, numbered where another image has it too."""
    names: list[str] = []
    taken: set[str] = set()
    for image in images:
        name, number = image.stem, 2
        while name.lower() in taken:  # a disk may hold a and A for the same
            name, number = f"{image.stem}_{number}", number + 1
        taken.add(name.lower())
        names.append(name)
    return names


def _require_nothing_is_lost(
    out: Path, images: Sequence[Path], files: Sequence[Sequence[Path]], table: str
) -> None:
    for image in images:
        if image.resolve().parent == out.resolve():
            raise ConfigError(
                f"{out}: expected another folder for the results, found {image.name} in it, one "
                "of the images"
            )
    if _is_table(out / table):
        return  # of an earlier prediction, whose files may be replaced
    for file in (out / table, *(file for its_files in files for file in its_files)):
        if file.exists():
            raise ConfigError(
                f"{out}: expected a new folder or one with the {table} of an earlier run, found "
                f"{file.name}, which would be replaced and is of no such run; choose another"
            )


def _is_table(file: Path) -> bool:
    """Whether a file is a table as :func:`predict_images` writes it."""
    try:
        rows = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(rows, list) and all(isinstance(row, dict) and "image" in row for row in rows)
