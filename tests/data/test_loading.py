"""Pipelines read whole images, or take those that are already there."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from mmcv.transforms import TRANSFORMS

from ean_transfer.errors import DataError


@pytest.mark.parametrize("name", ["LoadImage", "LoadCountingImage"])
def test_an_image_is_read_or_taken_as_it_is(tmp_path, name):
    import ean_transfer.crowd_counting  # noqa: F401

    load = TRANSFORMS.build(dict(type=name))
    pixels = np.random.default_rng(0).integers(0, 256, (5, 7, 3), dtype=np.uint8)
    path = str(tmp_path / "a.png")
    cv2.imwrite(path, pixels)
    for results in (load(dict(img_path=path)), load(dict(img=pixels))):
        np.testing.assert_array_equal(results["img"], pixels)
        assert results["img_shape"] == results["ori_shape"] == (5, 7)
    (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:60])
    with pytest.raises(DataError, match=r"a\.png"):
        load(dict(img_path=path))
