"""Predicting videos: a table with a line per frame, and a video of the results."""

from __future__ import annotations

import csv
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from mmengine.logging import print_log

from ean_transfer.engine.inference import Predictor
from ean_transfer.errors import DataError
from ean_transfer.io.files import refuse_to_replace, replacing
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import LINE, SIDE
from ean_transfer.visualization.text import TEXT_SIZE, draw_text

VIDEO_SUFFIXES = (".mp4", ".mov", ".avi", ".mkv", ".webm", ".m4v", ".mpg", ".mpeg")
_COLUMNS = ("frame", "seconds")  # that each table begins with
MAX_SIDE = 1280  # pixels: larger frames are shown smaller
_WHOLE = 0.98  # of the frames that a video's header says: of some formats it is an estimate


def is_video(file: str | os.PathLike[str]) -> bool:
    """Whether a file's name is that of a video."""
    return Path(file).suffix.lower() in VIDEO_SUFFIXES


def predict_video(
    predictor: Predictor[Any],
    video: str | os.PathLike[str],
    folder: str | os.PathLike[str],
    every: int = 1,
    name: str | None = None,
) -> tuple[Path, Path, int]:
    """Predict the frames of a video one by one.

    OpenCV reads a damaged video to the damage, and takes this for the end: a warning says so.

    Args:
        predictor: The trained network.
        video: The video, in a format that OpenCV reads.
        folder: Folder of the results, made if there is none: ``<name>.csv`` with the columns
            ``frame``, ``seconds`` and the result's, and ``<name>.mp4`` with the results over the
            frames, as fast as the original. Earlier ones are replaced.
        every: Distance of the frames that are taken; the first one is.
        name: Name of the results; the video's own by default.

    Returns:
        The table, the video, and the number of frames predicted.

    Raises:
        ConfigError: The folder is the video's own, or holds files of these names that are not ours.
        DataError: The video cannot be read.
        OSError: A file cannot be written.
    """
    name, out = name or Path(video).stem, Path(folder)
    table, shown = out / f"{name}.csv", out / f"{name}.mp4"
    is_itself = shown.exists() and Path(video).exists() and shown.samefile(video)
    earlier = _is_table(table) and not is_itself
    refuse_to_replace([table, shown], "another folder for the results", lambda _: earlier)
    out.mkdir(parents=True, exist_ok=True)
    number = 0
    with _opened(video) as capture, replacing(table) as csv_part, replacing(shown) as video_part:
        rate = capture.get(cv2.CAP_PROP_FPS) or 25.0
        with csv_part.open("w", newline="", encoding="utf-8") as stream:
            lines = csv.writer(stream, lineterminator="\n")
            with _VideoWriter(video_part, rate / every) as writer:
                for frame, pixels in _frames(video, capture, every):
                    result = predictor(pixels)
                    values = _flat(result.entries())
                    if not number:
                        lines.writerow([*_COLUMNS, *values])
                    lines.writerow([frame, round(frame / rate, 3), *values.values()])
                    overlay = result.overlay(np.ascontiguousarray(pixels[..., ::-1]))
                    writer.write(overlay, result.text())
                    number += 1
        if not number:
            raise DataError(f"{video}: expected a video with frames, found none")
    return table, shown, number


def _is_table(file: Path) -> bool:
    """Whether a file is a table as :func:`predict_video` writes it."""
    if not file.is_file():
        return False
    with file.open("rb") as stream:
        return stream.read(100).startswith(",".join(_COLUMNS).encode())


def _cv2_name(file: str | os.PathLike[str]) -> Any:
    """A name as OpenCV takes it; text that is not UTF-8 would end the process."""
    return os.fsencode(file)


@contextmanager
def _opened(video: str | os.PathLike[str]) -> Iterator[cv2.VideoCapture]:
    """Yield a video that can be read, and close it at the end."""
    if not Path(video).is_file():
        raise DataError(f"{video}: expected a video, found no such file")
    capture = cv2.VideoCapture(_cv2_name(video))
    try:
        if not capture.isOpened():
            raise DataError(f"{video}: expected a video that OpenCV reads, found another file")
        yield capture
    finally:
        capture.release()


def _frames(
    video: str | os.PathLike[str], capture: cv2.VideoCapture, every: int
) -> Iterator[tuple[int, Picture]]:
    """Yield the number and the pixels (H, W, 3) BGR of each `every`-th frame."""
    frame = 0
    while capture.grab():  # the frames between are not decoded where the format allows it
        if frame % every == 0:
            whole, pixels = capture.retrieve()
            if not whole:
                break
            yield frame, np.asarray(pixels, dtype=np.uint8)
        frame += 1
    expected = int(capture.get(cv2.CAP_PROP_FRAME_COUNT))
    if frame < _WHOLE * expected:
        print_log(
            f"{video}: expected {expected} frames, as its header says, and could read {frame}: it "
            "is cut off or damaged, and the rest is missing in the results",
            logger="current",
            level=logging.WARNING,
        )


def _flat(entries: Mapping[str, Any]) -> dict[str, Any]:
    """A result's entries as the columns of a table: values, and those of dicts; no lists."""
    columns: dict[str, Any] = {}
    for name, value in entries.items():
        if isinstance(value, dict):
            taken = {*_COLUMNS, *columns}  # a region may be called count, and a class frame
            columns |= {f"{name} {k}" if k in taken else k: v for k, v in value.items()}
        elif not isinstance(value, list):
            columns[name] = value
    return columns


class _VideoWriter:
    """Writes pictures with a line of text below; all are as large as the first."""

    def __init__(self, file: Path, rate: float) -> None:
        self.file = file
        # MPEG-4 takes rates as fractions of numbers up to 65535, and OpenCV makes 0 of less.
        self.rate = max(0.002, round(rate, 2 if rate > 65 else 3))
        self._writer: cv2.VideoWriter | None = None
        self._size = (0, 0)

    def __enter__(self) -> _VideoWriter:
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.release()

    def write(self, picture: Picture, text: str) -> None:
        """Add an RGB picture.

        Raises:
            OSError: The file cannot be written.
        """
        picture = fit_picture(picture, MAX_SIDE, enlarge=False)
        if picture.shape[1] < SIDE:  # or the text would not fit
            factor = -(-SIDE // picture.shape[1])
            picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        strip = draw_text(text, picture.shape[1], LINE, TEXT_SIZE)
        picture = np.vstack((picture, strip))
        if self._writer is None:
            height, width = picture.shape[:2]
            self._size = (width - width % 2, height - height % 2)  # codecs want even sides
            code = cv2.VideoWriter.fourcc(*"mp4v")
            self._writer = cv2.VideoWriter(_cv2_name(self.file), code, self.rate, self._size)
            if not self._writer.isOpened():
                raise OSError(f"{self.file}: OpenCV cannot write a video here")
        width, height = self._size
        self._writer.write(np.ascontiguousarray(picture[:height, :width, ::-1]))
