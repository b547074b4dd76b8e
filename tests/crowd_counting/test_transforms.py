"""The pipeline: sizes are those annotated, densities sum to the points that remain."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.registry import TRANSFORMS
from PIL import Image

from ean_transfer.crowd_counting import DotImageDataset
from ean_transfer.crowd_counting.density import adaptive_sigmas
from ean_transfer.crowd_counting.transforms import (
    AdaptiveSigmas,
    AlbuPoints,
    DensityMap,
    LimitSize,
    LoadCountingImage,
    PackCountingInputs,
)
from ean_transfer.errors import ConfigError, DataError

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


def load(path, **results):
    return LoadCountingImage()({"img_path": str(path), **results})


@pytest.mark.parametrize("size", [{"height": 60, "width": 40}, {"height": 41}, {"width": 59}])
def test_image_of_another_size_than_annotated_is_named(tmp_path, size):
    Image.fromarray(NOISE).save(tmp_path / "IMG_1.png")
    with pytest.raises(DataError, match=r"IMG_1\.png: .* as annotated, found 60 x 40"):
        load(tmp_path / "IMG_1.png", **size)
    with pytest.raises(DataError, match="as annotated, found 60 x 40"):
        LoadCountingImage()({"img": NOISE, **size})


@pytest.mark.parametrize("orientation", range(1, 9))
def test_turned_image_has_the_size_and_points_of_its_data_set(tmp_path, orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(NOISE).save(tmp_path / "1cell.jpg", exif=exif)
    height, width = cv2.imread(str(tmp_path / "1cell.jpg")).shape[:2]
    dots = np.zeros((height, width, 3), np.uint8)
    dots[-1, -1, 2] = 255
    cv2.imwrite(str(tmp_path / "1dots.png"), dots)
    pipeline = [LoadCountingImage(exif="apply")]  # where the size cannot decide
    dataset = DotImageDataset(tmp_path, image_suffix="cell.jpg", pipeline=pipeline)
    image = dataset[0]["img"]  # refused, if the data set had read another size
    assert image.shape == (height, width, 3)
    np.testing.assert_array_equal(image, cv2.imread(str(tmp_path / "1cell.jpg")))


def test_crop_without_any_point_is_empty():
    steps = [
        dict(type="Crop", x_min=0, y_min=0, x_max=8, y_max=8),
        dict(type="Resize", height=16, width=16),
    ]
    results = AdaptiveSigmas()({"img": NOISE, "points": [(50, 30)] * 3})
    results = AlbuPoints(steps)(results)
    assert results["points"].shape == (0, 2)
    assert results["sigmas"].shape == (0,)
    density = DensityMap(sigma="adaptive")(results)["gt_density"]
    np.testing.assert_array_equal(density, np.zeros((2, 2), np.float32))


STEPS = st.sampled_from(
    [
        dict(type="RandomCrop", height=24, width=30),
        dict(type="RandomCrop", height=50, width=30, pad_if_needed=True),
        dict(type="RandomResizedCrop", size=(33, 44)),
        dict(type="RandomScale", scale_limit=(-0.6, 1), p=1),
        dict(type="HorizontalFlip", p=1),
        dict(type="VerticalFlip", p=1),
        dict(type="PadIfNeeded", min_height=70, min_width=50),
    ]
)


@settings(max_examples=60)
@given(
    points=st.lists(st.tuples(st.floats(0, 60), st.floats(0, 40)), max_size=15),
    steps=st.lists(STEPS, max_size=2),
    stride=st.integers(1, 16),
    sigma=st.one_of(st.floats(0.3, 30), st.just("adaptive")),
    measured_before=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_density_sums_to_the_points_that_remain(
    points, steps, stride, sigma, measured_before, seed
):
    np.random.seed(seed)
    results = {"img": NOISE, "points": np.array(points, np.float32).reshape(-1, 2)}
    if measured_before:
        results = AdaptiveSigmas()(results)
    results = DensityMap(stride, sigma)(AlbuPoints(steps)(results))
    remaining = len(results["points"])
    assert remaining <= len(points)
    if not any("Crop" in step["type"] for step in steps):
        assert remaining == len(points)
    assert results["gt_density"].sum(dtype=np.float64) == pytest.approx(remaining, abs=1e-3)


def adaptive_density(transforms, points, size=(64, 96)):
    image = np.zeros((*size, 3), np.uint8)
    results = AdaptiveSigmas()({"img": image, "points": points})
    return DensityMap(8, "adaptive")(AlbuPoints(transforms)(results))["gt_density"]


@settings(max_examples=25)
@given(st.lists(st.tuples(st.floats(0, 95), st.floats(0, 63)), max_size=10))
def test_flip_commutes_with_an_adaptive_density(points):
    flipped = adaptive_density([dict(type="HorizontalFlip", p=1)], points)
    np.testing.assert_allclose(flipped, adaptive_density([], points)[:, ::-1], atol=1e-5)


@settings(max_examples=25)
@given(st.data())
def test_crop_commutes_with_an_adaptive_density(data):
    # Fours, whose sigmas are at most 2.8: more than 4 of them off the edges of the middle's crop.
    middle = st.tuples(st.integers(44, 75), st.integers(44, 75))
    margin = st.tuples(st.integers(0, 12), st.integers(0, 119))
    corners = data.draw(st.lists(st.one_of(middle, margin), min_size=1, max_size=6, unique=True))
    points = [(x + dx, y + dy) for x, y in corners for dx in (0, 8) for dy in (0, 8)]
    crop = dict(type="Crop", x_min=32, y_min=32, x_max=96, y_max=96)
    cropped = adaptive_density([crop], points, (128, 128))
    whole = adaptive_density([], points, (128, 128))
    np.testing.assert_allclose(cropped, whole[4:12, 4:12], atol=1e-6)


def test_sigmas_are_those_of_the_whole_image_after_a_crop():
    points = [(30, 30), (34, 30), (80, 30), (30, 80)]
    results = AdaptiveSigmas(neighbours=1)(
        {"img": np.zeros((99, 99, 3), np.uint8), "points": points}
    )
    crop = dict(type="Crop", x_min=32, y_min=20, x_max=60, y_max=60)
    double = dict(type="Resize", height=80, width=56)
    results = AlbuPoints([crop, double])(results)
    # alone in the crop, its neighbour hidden, twice as large
    np.testing.assert_allclose(results["sigmas"], [2 * 0.3 * 4], rtol=1e-5)
    carried = DensityMap(8, "adaptive")(dict(results))
    narrow = DensityMap(8, 2 * 0.3 * 4)(dict(results))
    np.testing.assert_allclose(carried["gt_density"], narrow["gt_density"], atol=1e-6)
    del results["sigmas"]
    lone = DensityMap(8, "adaptive")(dict(results))  # measured on the crop
    wide = DensityMap(8, 15.0)(dict(results))
    np.testing.assert_allclose(lone["gt_density"], wide["gt_density"], atol=1e-6)


def test_a_number_as_sigma_does_not_read_the_sigmas():
    results = AdaptiveSigmas()({"img": NOISE, "points": [(5, 5), (20, 20)]})
    with_sigmas = DensityMap(4, 2.0)(dict(results))["gt_density"]
    del results["sigmas"]
    np.testing.assert_array_equal(with_sigmas, DensityMap(4, 2.0)(results)["gt_density"])


@pytest.mark.parametrize("sigma", [4.0, "adaptive"])
def test_packed_sample_knows_its_sigma(sigma):
    pipeline = [
        dict(type="AdaptiveSigmas", neighbours=2, beta=0.2),
        dict(type="DensityMap", stride=4, sigma=sigma),
        dict(type="PackCountingInputs"),
    ]
    results = {"img": NOISE, "points": [(5, 5), (20, 20), (30, 9)]}
    for transform in pipeline:
        results = TRANSFORMS.build(transform)(results)
    sample = results["data_samples"]
    assert (sample.density_stride, sample.density_sigma) == (4, sigma)
    assert sample.gt_density.sum() == pytest.approx(3, abs=1e-5)


def test_arguments_reach_the_adaptive_sigmas():
    points = np.random.default_rng(0).uniform(0, 40, (9, 2))
    results = AdaptiveSigmas(neighbours=2, beta=0.5)({"points": points})
    np.testing.assert_array_equal(results["sigmas"], adaptive_sigmas(points, 2, 0.5))
    here = DensityMap(4, "adaptive", neighbours=2, beta=0.5)({"img": NOISE, "points": points})
    carried = DensityMap(4, "adaptive")({"img": NOISE, **results})
    np.testing.assert_array_equal(here["gt_density"], carried["gt_density"])


@pytest.mark.parametrize(
    ("transform", "named"),
    [
        (dict(type=DensityMap, stride=0), "stride.* 0"),
        (dict(type=DensityMap, sigma="adaptve"), "sigma.* 'adaptve'"),
        (dict(type=DensityMap, sigma=-1), "sigma.* -1"),
        (dict(type=DensityMap, sigma="adaptive", beta=0), "beta.* 0"),
        (dict(type=AdaptiveSigmas, neighbours=0), "neighbours.* 0"),
        (dict(type=LimitSize, longest=0), "longest.* 0"),
    ],
)
def test_bad_argument_is_a_config_error(transform, named):
    with pytest.raises(ConfigError, match=f"{transform['type'].__name__}: {named}"):
        TRANSFORMS.build(transform)


def test_image_without_labels_can_be_changed_and_packed(tmp_path):
    Image.fromarray(NOISE).save(tmp_path / "0001.png")
    results = load(tmp_path / "0001.png", height=40, width=60)
    results = AlbuPoints([dict(type="Resize", height=20, width=30)])(results)
    assert "points" not in results
    packed = PackCountingInputs()(results)
    assert packed["inputs"].shape == (3, 20, 30)
    assert "gt_points" not in packed["data_samples"]
    assert "gt_count" not in packed["data_samples"]
    assert packed["data_samples"].img_shape == (20, 30)


@pytest.mark.parametrize("transform", [DensityMap(), AdaptiveSigmas()])
def test_target_of_an_image_without_labels_is_refused(transform):
    with pytest.raises(DataError, match=r"0001\.jpg: expected points .* without labels"):
        transform({"img": NOISE, "img_path": "test/0001.jpg"})


def test_no_points_are_a_label_too():
    sample = PackCountingInputs()({"img": NOISE, "points": []})["data_samples"]
    assert sample.gt_count == 0
    assert sample.gt_points.shape == (0, 2)


def test_large_images_are_shrunk_with_their_points_and_sigmas_and_no_other_is_touched():
    image = np.zeros((200, 400, 3), np.uint8)
    image[120:124, 300:304] = 255  # centre (301.5, 121.5)
    results = {"img": image, "points": np.array([[301.5, 121.5], [399, 199]]), "sigmas": [8.0, 4.0]}
    results["sigmas"] = np.array(results["sigmas"], np.float32)
    small = LimitSize(100).transform(dict(results))
    assert small["img"].shape == (50, 100, 3) and small["img_shape"] == (50, 100)
    # The block is now the pixel (75, 30); a point keeps its place in the picture.
    np.testing.assert_allclose(small["points"][0], [75, 30], atol=1e-5)
    assert small["img"][30, 75].min() == 255
    np.testing.assert_allclose(small["sigmas"], [2, 1], rtol=1e-5)
    assert len(small["points"]) == 2  # the one in the corner as well
    same = LimitSize(400).transform(dict(results))
    assert same["img"] is image and same["points"] is results["points"]
