"""Augmentation: points and sigmas stay on what they mark, whatever albumentations does."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

from ean_transfer.crowd_counting.transforms import AlbuPoints, DensityMap
from ean_transfer.data.albumentations import albumentations
from ean_transfer.errors import ConfigError

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)
COLOURS = np.diag([250] * 3).astype(np.uint8)
SIGMAS = np.array([1, 2, 4], dtype=np.float32)


def photograph(points=((0, 0), (39.6, 20), (40, 30), (12.3, 7.7)), size=(30, 40)):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return {"img": image, "points": np.array(points, dtype=np.float32)}


def marked(points, size=(90, 120), side=1):
    """Black, with a square of another channel centred at each of the three points (x, y)."""
    image = np.zeros((*size, 3), np.uint8)
    for (x, y), colour in zip(points, COLOURS, strict=True):
        image[y - side // 2 : y + side // 2 + 1, x - side // 2 : x + side // 2 + 1] = colour
    return {"img": image, "points": np.array(points, np.float32), "sigmas": SIGMAS}


@pytest.mark.parametrize(
    "transforms",
    [
        [dict(type="RandomCrop", height=40, width=50)],
        [dict(type="RandomCrop", height=100, width=50, pad_if_needed=True)],
        [dict(type="RandomCrop", height=100, width=200, pad_if_needed=True, pad_position="random")],
        [dict(type="PadIfNeeded", min_height=101, min_width=133, position="bottom_right")],
        [dict(type="HorizontalFlip"), dict(type="VerticalFlip")],
        [dict(type="D4"), dict(type="RandomCrop", height=64, width=64)],
    ],
)
def test_points_and_sigmas_stay_on_their_pixel(transforms):
    transform, generator = AlbuPoints(transforms), np.random.default_rng(0)
    np.random.seed(0)
    for _ in range(15):
        x = [0, *generator.choice(np.arange(1, 119), 1), 119]
        results = transform(marked(list(zip(x, generator.permutation([0, 44, 89]), strict=True))))
        pixels = {
            (int(column), int(row), float(SIGMAS[channel]))
            for row, column, channel in np.argwhere(results["img"])
        }
        columns = (*results["points"].T.tolist(), results["sigmas"].tolist())
        assert pixels == set(zip(*columns, strict=True))
        assert len(pixels) == len(results["points"])


@pytest.mark.parametrize(
    "transform",
    [
        dict(type="RandomScale", scale_limit=(-0.5, 1.0), p=1),
        dict(type="Resize", height=61, width=200),
        dict(type="LongestMaxSize", max_size=77),
        dict(type="SmallestMaxSize", max_size=177),
        dict(type="RandomResizedCrop", size=(70, 80), scale=(0.8, 1)),
        dict(type="RandomSizedCrop", min_max_height=(70, 88), size=(60, 99)),
        dict(type="Affine", scale=(0.7, 1.2), keep_ratio=True, rotate=(-30, 30), p=1),
        dict(type="OneOf", transforms=[dict(type="RandomScale", scale_limit=(1, 1))], p=1),
    ],
)
def test_points_and_sigmas_follow_a_scaled_image(transform):
    transform, before = AlbuPoints([transform]), marked([(50, 40), (70, 30), (60, 60)], side=7)
    np.random.seed(0)
    for _ in range(5):
        after = transform(dict(before))
        assert len(after["points"]) == 3
        squares = after["img"].astype(float)
        rows, columns = np.indices(squares.shape[:2])
        for channel, (x, y) in enumerate(after["points"]):
            weights = squares[..., channel] / squares[..., channel].sum()
            assert x == pytest.approx((weights * columns).sum(), abs=0.2)
            assert y == pytest.approx((weights * rows).sum(), abs=0.2)
        factors = np.sqrt(squares.sum((0, 1)) / before["img"].sum((0, 1)))  # of the squares' sides
        np.testing.assert_allclose(after["sigmas"] / before["sigmas"], factors, rtol=0.06)


@pytest.mark.parametrize(
    "transform",
    [
        dict(type="RandomScale", scale_limit=(-0.9, -0.5), p=1),
        dict(type="Resize", height=3, width=5),
        dict(type="LongestMaxSize", max_size=13),
        dict(type="SmallestMaxSize", max_size=13),
    ],
)
def test_shrinking_loses_no_point_of_the_last_pixels(transform):
    transform = AlbuPoints([transform])
    x, y = np.meshgrid(np.arange(120), np.arange(90))
    points = np.stack((x.ravel(), y.ravel()), axis=1)
    for _ in range(5):
        results = transform({"img": np.zeros((90, 120, 3), np.uint8), "points": points})
        assert len(results["points"]) == len(points)


@pytest.mark.parametrize(
    "transform",
    [
        dict(type="ColorJitter", p=1),
        dict(type="RandomBrightnessContrast", p=1),
        dict(type="ToGray", p=1),
        dict(type="GaussianBlur", p=1),
        dict(type="CoarseDropout", num_holes_range=(30, 40), p=1),
    ],
)
def test_colour_leaves_points_alone(transform):
    points = np.random.default_rng(0).uniform(0, (59, 39), (20, 2)).astype(np.float32)
    results = AlbuPoints([transform])({"img": NOISE, "points": points})
    assert not np.array_equal(results["img"], NOISE)
    np.testing.assert_array_equal(results["points"], points)


def test_colours_are_seen_as_rgb_and_unequal_scaling_scales_sigmas_by_the_area():
    red_bgr = np.full((4, 4, 3), (0, 0, 200), np.uint8)
    grey = AlbuPoints([dict(type="ToGray", p=1)])({"img": red_bgr})
    assert grey["img"][0, 0, 0] == pytest.approx(0.299 * 200, abs=1)  # the weight of red
    for height, factor in ((180, 1), (720, 2)):
        scale = AlbuPoints([dict(type="Resize", height=height, width=60)])
        sigmas = scale(marked([(9, 9)] * 3))["sigmas"]
        np.testing.assert_allclose(sigmas, factor * SIGMAS)


def test_points_outside_a_crop_leave_with_their_sigmas():
    crop = AlbuPoints([dict(type="Crop", x_min=10, y_min=0, x_max=30, y_max=90)])
    results = crop(marked([(9, 5), (10, 7), (30, 9)]))
    np.testing.assert_array_equal(results["points"], [(0, 7)])
    np.testing.assert_array_equal(results["sigmas"], [2])


def test_augmentation_can_be_sent_to_a_worker():
    transform = AlbuPoints([dict(type="RandomScale"), dict(type="RandomResizedCrop", size=(9, 9))])
    assert len(pickle.loads(pickle.dumps(transform)).steps) == 2


class Waves(albumentations.GridDistortion):
    """One's own distortion."""


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("RandomGridShuffle", "RandomGridShuffle does not move points"),
        ("GridElasticDeform", "GridElasticDeform does not move points"),
        ("CropAndPad", "CropAndPad does not move points"),
        ("ElasticTransform", "ElasticTransform loses points"),
        ("OpticalDistortion", "OpticalDistortion loses points"),
        ("PiecewiseAffine", "PiecewiseAffine loses points"),
        ("ThinPlateSpline", "ThinPlateSpline loses points"),
        (Waves, "Waves loses points"),
    ],
)
def test_transforms_that_lose_points_or_leave_them_behind_are_refused(kind, reason):
    with pytest.raises(ConfigError, match=f"^AlbuPoints: .*{reason}"):
        AlbuPoints([dict(type="OneOf", transforms=[dict(type=kind)])])


def test_flips_lose_no_point_not_even_at_the_edge():
    transform = AlbuPoints([dict(type="HorizontalFlip", p=1), dict(type="VerticalFlip", p=1)])
    once = transform(photograph())
    np.testing.assert_allclose(once["points"], [(39, 29), (0, 9), (0, 0), (26.7, 21.3)], atol=1e-4)
    np.testing.assert_array_equal(once["img"], photograph()["img"][::-1, ::-1])
    twice = transform(once)
    assert len(twice["points"]) == 4


def test_crops_that_tile_the_image_share_its_points_out():
    points = np.random.default_rng(1).uniform((0, 0), (40, 30), (200, 2))
    points[:50] = np.round(points[:50] * 2) / 2  # halves lie on the borders between pixels
    counts = []
    for left in (0, 20):
        for top in (0, 15):
            crop = AlbuPoints(
                [
                    dict(type="Crop", x_min=left, y_min=top, x_max=left + 20, y_max=top + 15),
                    dict(type="HorizontalFlip", p=1),
                ]
            )
            result = crop(photograph(points))
            counts.append(len(result["points"]))
            assert result["img_shape"] == (15, 20)
            sum_of_map = DensityMap(4, 2.0)(result)["gt_density"].sum()
            assert sum_of_map == pytest.approx(counts[-1], abs=1e-3)
    assert sum(counts) == 200


@pytest.mark.parametrize("composition", [None, "Sequential", "SomeOf"])
def test_points_that_left_a_crop_do_not_come_back_by_padding(composition):
    transforms = [
        dict(type="Crop", x_min=10, y_min=0, x_max=20, y_max=20),
        dict(type="PadIfNeeded", min_height=40, min_width=40),
    ]
    if composition:
        options = {"Sequential": {}, "SomeOf": dict(n=2, replace=False)}[composition]
        together = dict(type=composition, transforms=transforms, p=1.0, **options)
        transforms = [dict(type="OneOf", transforms=[together], p=1.0)]
    assert len(AlbuPoints(transforms)(photograph())["points"]) == 1


def test_same_seed_gives_the_same_crops_and_draws_are_independent():
    transform = AlbuPoints(
        [
            dict(type="RandomCrop", height=8, width=8),
            dict(type="HorizontalFlip", p=0.5),
            dict(type="VerticalFlip", p=0.5),
        ]
    )

    def draws(seed):
        np.random.seed(seed)
        return [transform(photograph())["img"] for _ in range(5)]

    np.testing.assert_array_equal(draws(3), draws(3))
    assert not np.array_equal(draws(3), draws(4))

    # Two coins of a half must not fall alike, as they would with one seed per transform.
    gradient = np.arange(16, dtype=np.uint8).reshape(4, 4)[..., None].repeat(3, axis=2)
    flips = AlbuPoints([dict(type="HorizontalFlip", p=0.5), dict(type="VerticalFlip", p=0.5)])
    seen = {
        int(flips({"img": gradient, "points": np.zeros((0, 2))})["img"][0, 0, 0]) for _ in range(60)
    }
    assert seen == {0, 3, 12, 15}


@pytest.mark.parametrize(
    "transform",
    [
        dict(type="RandomCorp", height=8, width=8),
        dict(height=8),
        dict(type="HorizontalFlip", prob=1),
        dict(type="RandomCrop", height=-1, width=8),
        dict(type="RandomCrop"),
    ],
)
def test_unknown_transform_or_argument_is_a_config_error(transform):
    with pytest.raises(ConfigError, match="AlbuPoints"):
        AlbuPoints([transform])
