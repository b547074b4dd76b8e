"""The first step of a pipeline: an image is read strictly, or taken as it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mmcv.transforms import TRANSFORMS, BaseTransform

from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments
from ean_transfer.io.images import Exif, read_image, read_orientation


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image, unless the data set already gives its pixels, and make sure it is whole.

    Grey, palette and other colours become BGR, as with mmcv's ``LoadImageFromFile``. That one,
    however, may fill the missing part of a truncated JPEG with grey without an error, and reads
    16 bits per channel as their high byte.

    Args:
        exif: ``"apply"`` turns an image as its EXIF orientation says, as viewers do; ``"ignore"``
            takes its pixels as they are stored. Which one is right depends on what the labels were
            drawn on. By default it is applied, and data sets of masks or points refuse images
            whose labels would fit both ways.

    Raises:
        ConfigError: ``exif`` is something else.
    """

    @checked_arguments
    def __init__(self, exif: Exif | None = None) -> None:
        self.exif = exif

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape``.

        Raises:
            DataError: The file is unreadable, truncated or has more than 8 bits per channel.
        """
        if "img" not in results:
            results["img"] = read_image(results["img_path"], self.exif or "apply")
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}(exif={self.exif!r})"


def exif_of(pipeline: Iterable[Any]) -> Exif | None:
    """What a pipeline's ``LoadImage`` was told to do with an EXIF orientation, if anything.

    Args:
        pipeline: Its steps, built or as configs.
    """
    said = (
        step.get("exif") if isinstance(step, Mapping) else getattr(step, "exif", None)
        for step in pipeline
    )
    return next(filter(None, said), None)


def turned_images(images: Iterable[str]) -> list[str]:
    """The images, of those given, that an EXIF orientation turns or mirrors.

    Raises:
        DataError: An image's header is unreadable.
    """
    return [image for image in images if read_orientation(image) != 1]


def refuse_unclear_orientation(images: Sequence[str]) -> None:
    """Refuse images that an EXIF orientation turns and whose labels fit turned and as stored.

    Args:
        images: Those images; nothing is wrong if there are none.

    Raises:
        DataError: There are some; the first one is named.
    """
    if images:
        more = f" (and {len(images) - 1} more)" if len(images) > 1 else ""
        raise DataError(
            f"{images[0]}: expected an image that is stored upright, or the choice what its labels "
            f"were drawn on, found EXIF orientation {read_orientation(images[0])}{more}; give the "
            "pipeline dict(type=LoadImage, exif='apply') if they were drawn on the image as "
            "viewers show it, exif='ignore' if on its pixels as they are stored"
        )
