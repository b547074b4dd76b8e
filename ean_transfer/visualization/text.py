"""One line of text as a picture, and the font of all pictures."""

from __future__ import annotations

from bisect import bisect_right
from math import ceil
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from ean_transfer.visualization.picture import Picture

TEXT_SIZE = 16  # pixels: the usual height of letters
TEXT, BACKGROUND = (235, 235, 235), (20, 20, 20)


def draw_text(text: str, width: int, height: int, text_size: int = TEXT_SIZE) -> Picture:
    """One line of text on a dark strip; the middle of a long one becomes dots.

    Args:
        text: The text.
        width: Width of the strip, in pixels.
        height: Height of the strip, in pixels.
        text_size: Height of the letters, in pixels.
    """
    font = load_font(text_size)

    def shortened(kept: int) -> str:
        return f"{text[: kept // 2]}...{text[len(text) - (kept - kept // 2) :]}"

    shown = text
    if len(text) > 2 and font.getlength(text) > width:
        # Bisected: the counts of a hundred regions are thousands of letters, in each frame.
        numbers = range(3, len(text))
        fitting = bisect_right(
            numbers, width, key=lambda kept: ceil(font.getlength(shortened(kept)))
        )
        shown = shortened(2 + fitting)
    strip = Image.new("RGB", (width, height), BACKGROUND)
    ImageDraw.Draw(strip).text((0, height // 2), shown, fill=TEXT, font=font, anchor="lm")
    return np.asarray(strip, dtype=np.uint8)


def load_font(size: int) -> ImageFont.FreeTypeFont:
    """The font that comes with matplotlib, which is the same on every machine.

    Pillow's own has the letters of English alone, without such as é and ü.

    Args:
        size: Height of the letters, in pixels.
    """
    import matplotlib  # here, since it takes 0.2 s, and most trainings draw nothing

    file = Path(matplotlib.get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    return ImageFont.truetype(file, size)
