"""A transform that does not fit an image or a network ends in one line, in both tasks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from ean_transfer.crowd_counting.transforms import AlbuPoints
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.segmentation import AlbuSeg


def sample() -> dict[str, Any]:
    return {
        "img": np.zeros((48, 64, 3), np.uint8),
        "gt_seg_map": np.zeros((48, 64), np.uint8),
        "points": np.array([[3.0, 4.0]], np.float32),
        "img_shape": (48, 64),
        "img_path": "a/b.jpg",
        "seg_fields": ["gt_seg_map"],
    }


BOTH = pytest.mark.parametrize("kind", [AlbuSeg, AlbuPoints])
LARGE = {"height": 90, "width": 90}


@BOTH
@pytest.mark.parametrize(
    "step",
    [
        dict(type="RandomCrop", **LARGE),
        dict(type="CenterCrop", **LARGE),
        dict(type="Crop", x_max=100, y_max=100),
        dict(type="OneOf", transforms=[dict(type="RandomCrop", **LARGE)], p=1),
    ],
    ids=lambda step: step["type"],
)
def test_a_crop_larger_than_the_image_names_its_file(kind: type, step: dict[str, Any]) -> None:
    line = rf"^a/b\.jpg: .*{kind.__name__}'s {step['type']}, found 64 x 48 pixels: .*pad"
    with pytest.raises(DataError, match=line):
        kind([step])(sample())


@BOTH
def test_a_padded_crop_may_be_larger(kind: type) -> None:
    step = dict(type="RandomCrop", **LARGE, pad_if_needed=True)
    assert kind([step])(sample())["img"].shape == (90, 90, 3)


@BOTH
@pytest.mark.parametrize(
    ("step", "made"),
    [
        (dict(type="ToTensorV2"), r"torch\.uint8 of shape \(3, 48, 64\) after ToTensorV2"),
        (dict(type="Normalize"), "float32"),
        (dict(type="ToFloat"), "float32"),
        (dict(type="ToGray", num_output_channels=1, p=1), r"\(48, 64\) after ToGray"),
        (dict(type="OneOf", transforms=[dict(type="ToTensorV2", p=1)], p=1), "torch.uint8"),
    ],
    ids=lambda value: value["type"] if isinstance(value, dict) else "",
)
def test_what_is_no_image_any_more_is_refused(kind: type, step: dict[str, Any], made: str) -> None:
    line = rf"^{kind.__name__}: expected an image of uint8 .*found .*{made}.*data_preprocessor"
    with pytest.raises(ConfigError, match=line):
        kind([dict(type="HorizontalFlip"), step])(sample())


@BOTH
@pytest.mark.parametrize("step", ["RandomCropNearBBox", "RandomSizedBBoxSafeCrop"])
def test_transforms_of_boxes_are_refused(kind: type, step: str) -> None:
    with pytest.raises(ConfigError, match=f"^{kind.__name__}: .*{step} needs boxes"):
        kind([dict(type=step)])


@BOTH
def test_grey_images_stay_grey(kind: type) -> None:
    if kind is AlbuSeg:
        grey = sample() | {"img": np.zeros((48, 64), np.uint8)}
        assert kind([dict(type="HorizontalFlip", p=1)])(grey)["img"].shape == (48, 64)
    step = dict(type="ToGray", p=1)
    assert kind([step])(sample())["img"].shape == (48, 64, 3)
