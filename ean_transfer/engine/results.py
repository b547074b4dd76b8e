"""What a network says of one image, whatever the task: as text, data, pictures and files."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np

from ean_transfer.visualization.picture import PLAIN_SIZE, Picture, fit_picture, write_picture
from ean_transfer.visualization.sheet import CAPTION_SIZE, LINE, SIDE, Cell, joined
from ean_transfer.visualization.text import draw_text


class Prediction(ABC):
    """What a network says of one image. Base of the tasks' results."""

    files: ClassVar[Mapping[str, str]]
    """What :meth:`write` writes -> ending of the file's name, which begins with the image's."""

    @abstractmethod
    def text(self) -> str:
        """The result in one short line."""

    @abstractmethod
    def entries(self) -> dict[str, Any]:
        """The result as plain data, for a table of many images."""

    @abstractmethod
    def overlay(self, image: Picture) -> Picture:
        """The result drawn over its image, in RGB; of one size for images of one size."""

    def draw(self, image: Picture) -> Picture:
        """The result as a picture that explains itself: the overlay, and a line of text below.

        The letters grow with the picture, since screens show a large one shrunk.

        Args:
            image: The image (H, W, 3), RGB.
        """
        picture = self.overlay(image)
        if picture.shape[1] < SIDE:  # or the text would not fit
            factor = -(-SIDE // picture.shape[1])
            picture = picture.repeat(factor, axis=0).repeat(factor, axis=1)
        height, width = picture.shape[:2]
        # By the longer side, but no larger than the width has room for.
        scale = max(1.0, min(max(height, width) / PLAIN_SIZE, width / SIDE))
        text = draw_text(self.text(), width, round(LINE * scale), round(CAPTION_SIZE * scale))
        return np.vstack((picture, text))

    def write(self, image: Picture, files: Mapping[str, Path]) -> None:
        """Write the files of one image.

        Args:
            image: The image (H, W, 3), RGB.
            files: File for each key of :attr:`files`.

        Raises:
            OSError: A file cannot be written.
        """
        write_picture(files["picture"], self.draw(image))

    def thumbnail(self, image: Picture, name: str) -> Cell:
        """The overlay as a thumbnail of a sheet, with the image's name and the text below."""
        return Cell(fit_picture(self.overlay(image), SIDE), joined(name, self.text()))


class Judgement(NamedTuple):
    """How right a prediction is.

    Attributes:
        error: 0 for a prediction without fault, larger for worse ones.
        text: Truth and error in one short line.
    """

    error: float
    text: str
