"""The options of a conversion, of which each format reads its own, and the folders of one."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Checked, Natural
from ean_transfer.io.image_files import IMAGE_SUFFIXES

IGNORED = ("ignore", "void", "__ignore__")
"""Classes that become the ignored label, where a conversion is not told others."""


class Settings(Checked):
    """How labels are read.

    Attributes:
        format: Name of the format; by default it is recognised.
        image_suffix: Ends of the images' names, one or several.
        label_suffix: Ends of the annotation files' names, if there is one per image.
        classes: Classes to take, for masks in the order of their labels; by default all.
        ignore: Classes whose pixels become 255, which neither train nor score.
        rest: What pixels in no object become: a class ``background`` or 255.
        columns: Meaning (image, x, y, left, top, right, bottom, width, height, label) -> column of
            a CSV file, or for ``label`` an attribute in VIA; by default usual names are looked for.
        order: Order of a point's coordinates.
        relative: Whether coordinates are shares of the image's width and height.
        keypoint: The keypoint that stands for an object of COCO; by default the mean of all.
        dots: What an object is in a dot image: one pixel of any one colour, or one group.
        table: File of colours and their classes.
        unknown: What to do with colours that are not in the table.
        threshold: Highest value of a binary mask that is outside the object.
        copies: Whether images are copied into class folders, and not linked.
    """

    what = "convert"

    format: str | None = None
    image_suffix: tuple[str, ...] = IMAGE_SUFFIXES
    label_suffix: tuple[str, ...] = ()
    classes: tuple[str, ...] = ()
    ignore: tuple[str, ...] = IGNORED
    rest: Literal["background", "ignore"] = "background"
    columns: dict[
        Literal["image", "x", "y", "left", "top", "right", "bottom", "width", "height", "label"],
        str,
    ] = {}
    order: Literal["xy", "yx"] = "xy"
    relative: bool = False
    keypoint: str | None = None
    dots: Literal["any", "blobs"] = "any"
    table: str | None = None
    unknown: Literal["refuse", "ignore", "nearest"] = "refuse"
    threshold: Natural | None = None
    copies: bool = False


def images_and_target(
    task: str, source: Path, images: Path | None, out_dir: Path | None
) -> tuple[Path, Path]:
    """The folder of the images and that of the result, where the user named one or none of them.

    Raises:
        ConfigError: The result's folder must be named, or the images' is a file.
    """
    if images is not None and images.is_file():
        raise ConfigError(
            f"--images {images}: expected the folder of the images, found a file: did you swap "
            "SOURCE and --images?"
        )
    images = images or (source if source.is_dir() else source.parent)
    if out_dir is None and task == "classification":
        raise ConfigError(
            "expected the new folder of the class folders, found none; name it with --out-dir"
        )
    return images, out_dir or (images if task == "counting" else images.parent)
