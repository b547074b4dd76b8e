"""The first step of a pipeline: an image is read strictly, or taken as it is."""

from __future__ import annotations

from typing import Any

from mmcv.transforms import TRANSFORMS, BaseTransform

from ean_transfer.io.images import read_image


@TRANSFORMS.register_module()
class LoadImage(BaseTransform):
    """Read an image, unless the data set already gives its pixels, and make sure it is whole.

    The image is turned as its EXIF orientation says; grey, palette and other colours become BGR, as
    with mmcv's ``LoadImageFromFile``. That one, however, may fill the missing part of a truncated
    JPEG with grey without an error.
    """

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        """Add ``img`` (H, W, 3) uint8 BGR, ``img_shape`` and ``ori_shape``.

        Raises:
            DataError: The file is unreadable, truncated or has more than 8 bits per channel.
        """
        if "img" not in results:
            results["img"] = read_image(results["img_path"])
        results["img_shape"] = results["ori_shape"] = results["img"].shape[:2]
        return results

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"
