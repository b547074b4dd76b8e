"""Albumentations with label maps: seeded, and the labels stay on what they label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from mmcv.transforms import TRANSFORMS
from mmengine.dataset import worker_init_fn

from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.transforms import AlbuSeg

CROP = dict(type="RandomCrop", height=24, width=24)
COLOUR = dict(type="ColorJitter", p=1)


def labelled(size: tuple[int, int] = (48, 64)) -> dict[str, Any]:
    """A grey image (BGR) whose blue square is labelled 3, and all else 1."""
    image = np.full((*size, 3), 100, dtype=np.uint8)
    labels = np.ones(size, dtype=np.uint8)
    image[12:28, 20:36] = (255, 0, 0)
    labels[12:28, 20:36] = 3
    return dict(img=image, gt_seg_map=labels, img_shape=size, seg_fields=["gt_seg_map"])


def draws(steps: list[dict[str, Any]], worker: int = 0, times: int = 3) -> list[np.ndarray]:
    """What a worker of two makes of the same image, several times."""
    transform = TRANSFORMS.build(dict(type="AlbuSeg", transforms=steps))
    worker_init_fn(worker, num_workers=2, rank=0, seed=0)
    return [transform(labelled())["img"] for _ in range(times)]


def test_the_seed_decides_and_workers_and_samples_differ() -> None:
    first, again, other = draws([CROP, COLOUR]), draws([CROP, COLOUR]), draws([CROP, COLOUR], 1)
    for image, same in zip(first, again, strict=True):
        np.testing.assert_array_equal(image, same)
    everything = [image.tobytes() for image in first + other]
    assert len(set(everything)) == len(everything)


@pytest.mark.parametrize(
    "step",
    [
        dict(type="HorizontalFlip", p=1),
        dict(type="Affine", rotate=(-60, 60), scale=(0.6, 1.5), p=1),
        dict(type="RandomScale", scale_limit=0.4, p=1, mask_interpolation=1),
        dict(type="RandomCrop", height=40, width=90, pad_if_needed=True),
        dict(type="Perspective", p=1, mask_interpolation=2),
        dict(type="ElasticTransform", alpha=60, p=1),
        dict(type="OneOf", transforms=[dict(type="Rotate", p=1), dict(type="ShiftScaleRotate")]),
    ],
    ids=lambda step: step["type"],
)
def test_labels_move_with_what_they_label_and_none_is_made_up(step: dict[str, Any]) -> None:
    np.random.seed(0)
    transform = AlbuSeg([step])
    for _ in range(8):
        results = transform(labelled())
        image, labels = results["img"].astype(int), results["gt_seg_map"]
        assert results["img_shape"] == image.shape[:2] == labels.shape
        assert set(np.unique(labels)) <= {1, 3, 255}
        blue = (image[..., 0] > 180) & (image[..., 1] < 50)
        square = labels == 3
        assert square.sum() > 60
        # The image is interpolated and its labels are not: they may differ by a pixel at borders.
        assert (blue ^ square).sum() < 2.5 * np.sqrt(square.sum())


def test_what_is_beyond_the_edge_is_ignored_unless_the_config_says_otherwise() -> None:
    turned = AlbuSeg([dict(type="Rotate", limit=(45, 45), p=1)])(labelled())
    empty = (turned["img"] == 0).all(axis=-1)
    assert empty.any() and (turned["gt_seg_map"][empty] == 255).mean() > 0.95
    nested = dict(type="OneOf", transforms=[dict(type="PadIfNeeded", min_height=60, min_width=70)])
    padded = AlbuSeg([nested], ignore_index=9)(labelled() | {"pad_shape": (48, 64)})
    assert padded["gt_seg_map"][0, 0] == 9
    assert padded["img_shape"] == padded["pad_shape"] == (60, 70)
    chosen = AlbuSeg([dict(type="Pad", padding=2, fill_mask=1)])(labelled())
    assert set(np.unique(chosen["gt_seg_map"])) == {1, 3}
    hidden = AlbuSeg([dict(type="CoarseDropout", p=1)])(labelled())
    np.testing.assert_array_equal(hidden["gt_seg_map"], labelled()["gt_seg_map"])


def test_transforms_see_rgb_and_images_may_have_no_labels_and_no_channels() -> None:
    results = labelled()
    del results["gt_seg_map"]
    seen = []
    look = dict(type="Lambda", image=lambda image, **_: seen.append(image) or image, p=1)
    changed = AlbuSeg([look])(results)
    assert seen[0][20, 30].tolist() == [0, 0, 255]
    assert changed["img"][20, 30].tolist() == [255, 0, 0] and "gt_seg_map" not in changed
    grey = labelled() | {"img": labelled()["img"][..., 0]}
    flipped = AlbuSeg([dict(type="HorizontalFlip", p=1)])(grey)
    np.testing.assert_array_equal(flipped["img"] == 255, flipped["gt_seg_map"] == 3)


@pytest.mark.parametrize(
    ("step", "message"),
    [
        (dict(type="Rotat"), "AlbuSeg: .*Rotat"),
        (dict(type="Rotate", angle=3), "AlbuSeg: .*angle"),
        (dict(type="Resize", height=9, width=9, area_for_downscale="image_mask"), "take 'image'"),
        (dict(type="GridElasticDeform", num_grid_xy=(4, 4), magnitude=10), "label 0"),
        (dict(type="OneOf", transforms=[dict(type="TimeMasking")]), "label 0"),
    ],
)
def test_a_wrong_transform_is_one_line(step: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        AlbuSeg([step])
