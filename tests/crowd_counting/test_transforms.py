import io
import pickle

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
from ean_transfer.data.albumentations import albumentations
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.io import images

NOISE = np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8)


# --- reading ---


def encoded(image, kind, **options):
    stream = io.BytesIO()
    image.save(stream, kind, **options)
    return stream.getvalue()


def load(path, **results):
    return LoadCountingImage()({"img_path": str(path), **results})


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP"])
def test_image_is_read_as_opencv_reads_it(tmp_path, kind):
    file = tmp_path / "image"
    file.write_bytes(encoded(Image.fromarray(NOISE), kind))
    results = load(file, height=40, width=60)
    assert results["img_shape"] == results["ori_shape"] == (40, 60)
    assert results["img"].dtype == np.uint8
    assert results["img"].flags.c_contiguous
    np.testing.assert_array_equal(results["img"], cv2.imread(str(file)))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGBA", "LA"])
def test_grey_palette_and_alpha_become_bgr(tmp_path, mode):
    image = Image.fromarray(NOISE).convert(mode)
    if mode.endswith("A"):
        image.putalpha(Image.fromarray(NOISE[..., 0]))
    image.save(tmp_path / "image.png")
    expected = cv2.imread(str(tmp_path / "image.png"))
    np.testing.assert_array_equal(load(tmp_path / "image.png")["img"], expected)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "progressive"])
@pytest.mark.parametrize("part", [0, 0.1, 0.5, 0.99])
def test_truncated_image_is_named(tmp_path, kind, part):
    options = {}
    if kind == "progressive":
        kind, options = "JPEG", {"progressive": True}
    content = encoded(Image.fromarray(NOISE), kind, **options)
    file = tmp_path / "IMG_1.jpg"
    file.write_bytes(content[: int(part * len(content))])
    with pytest.raises(DataError, match=r"IMG_1\.jpg: expected an image.*fetch it again"):
        load(file)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "BMP", "TIFF", "WEBP", "GIF"])
def test_images_beyond_pillow_s_limit_are_read_and_it_stays(tmp_path, monkeypatch, kind):
    Image.fromarray(NOISE).save(tmp_path / "large", kind)
    before = load(tmp_path / "large")["img"]
    for limit in (NOISE.size // 3 - 1, 10):  # of a warning, of an error
        monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
        np.testing.assert_array_equal(load(tmp_path / "large")["img"], before)
        assert limit == Image.MAX_IMAGE_PIXELS
    (tmp_path / "large").write_bytes(b"")
    with pytest.raises(DataError):
        load(tmp_path / "large")
    assert limit == Image.MAX_IMAGE_PIXELS


def test_images_beyond_our_limit_are_not_to_be_fetched_again(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 2399)
    Image.fromarray(NOISE).save(tmp_path / "a.png")
    with pytest.raises(
        DataError, match=r"a\.png: expected at most 2399 pixels, found 60 x 40; cut"
    ):
        load(tmp_path / "a.png")
    monkeypatch.setattr(images, "MAX_PIXELS", 2400)
    assert load(tmp_path / "a.png")["img_shape"] == (40, 60)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(DataError, match=r"IMG_1\.jpg: expected an image"):
        load(tmp_path / "IMG_1.jpg")


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_more_than_8_bits_are_refused(tmp_path, dtype):
    Image.fromarray(NOISE[..., 0].astype(dtype)).save(tmp_path / "cell.tif")
    with pytest.raises(DataError, match=r"cell\.tif: expected 8 bits per channel, found .*mode [IF]"):
        load(tmp_path / "cell.tif")


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
    dataset = DotImageDataset(tmp_path, image_suffix="cell.jpg", pipeline=[LoadCountingImage()])
    image = dataset[0]["img"]  # refused, if the data set had read another size
    assert image.shape == (height, width, 3)
    np.testing.assert_array_equal(image, cv2.imread(str(tmp_path / "1cell.jpg")))


# --- augmentation ---

COLOURS = np.diag([250] * 3).astype(np.uint8)
SIGMAS = np.array([1, 2, 4], dtype=np.float32)


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
        found = {
            (int(column), int(row), float(SIGMAS[channel]))
            for row, column, channel in np.argwhere(results["img"])
        }
        columns = (*results["points"].T.tolist(), results["sigmas"].tolist())
        assert found == set(zip(*columns, strict=True))
        assert len(found) == len(results["points"])


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


def test_unequal_scaling_scales_sigmas_by_the_root_of_the_area():
    results = AlbuPoints([dict(type="Resize", height=180, width=60)])(marked([(9, 9)] * 3))
    np.testing.assert_allclose(results["sigmas"], SIGMAS)
    results = AlbuPoints([dict(type="Resize", height=360, width=120)])(marked([(9, 9)] * 3))
    np.testing.assert_allclose(results["sigmas"], 2 * SIGMAS)


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


def test_points_outside_a_crop_leave_with_their_sigmas():
    crop = AlbuPoints([dict(type="Crop", x_min=10, y_min=0, x_max=30, y_max=90)])
    results = crop(marked([(9, 5), (10, 7), (30, 9)]))
    np.testing.assert_array_equal(results["points"], [(0, 7)])
    np.testing.assert_array_equal(results["sigmas"], [2])


def test_crop_without_any_point_is_empty():
    steps = [dict(type="Crop", x_min=0, y_min=0, x_max=8, y_max=8), dict(type="Resize")]
    steps[1] |= dict(height=16, width=16)
    results = AlbuPoints(steps)(marked([(50, 40)] * 3))
    assert results["points"].shape == (0, 2)
    assert results["sigmas"].shape == (0,)
    density = DensityMap(sigma="adaptive")(results)["gt_density"]
    np.testing.assert_array_equal(density, np.zeros((2, 2), np.float32))


def test_augmentation_can_be_sent_to_a_worker():
    transform = AlbuPoints([dict(type="RandomScale"), dict(type="RandomResizedCrop", size=(9, 9))])
    assert len(pickle.loads(pickle.dumps(transform)).steps) == 2


# --- density after augmentation ---

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


@settings(max_examples=60, deadline=None)
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


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.floats(0, 95), st.floats(0, 63)), max_size=10))
def test_flip_commutes_with_an_adaptive_density(points):
    flipped = adaptive_density([dict(type="HorizontalFlip", p=1)], points)
    np.testing.assert_allclose(flipped, adaptive_density([], points)[:, ::-1], atol=1e-5)


@settings(max_examples=25, deadline=None)
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
    ("transform", "problem"),
    [
        (dict(type=DensityMap, stride=0), "DensityMap: expected stride"),
        (dict(type=DensityMap, sigma="adaptve"), "DensityMap: expected sigma .*'adaptve'"),
        (dict(type=DensityMap, sigma=-1), "DensityMap: expected sigma"),
        (dict(type=DensityMap, sigma="adaptive", beta=0), "DensityMap: expected beta"),
        (dict(type=AdaptiveSigmas, neighbours=0), "AdaptiveSigmas: expected neighbours"),
    ],
)
def test_bad_argument_is_a_config_error(transform, problem):
    with pytest.raises(ConfigError, match=problem):
        TRANSFORMS.build(transform)


# --- without labels ---


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


# --- limited size ---


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
    with pytest.raises(ConfigError, match="longest >= 1"):
        LimitSize(0)


@pytest.mark.parametrize(
    ("kind", "reason"),
    [
        ("RandomGridShuffle", "does not move points"),
        ("CropAndPad", "does not move points"),
        ("ElasticTransform", "loses points"),
        ("GridDistortion", "loses points"),
        ("OpticalDistortion", "loses points"),
        ("PiecewiseAffine", "loses points"),
        ("ThinPlateSpline", "loses points"),
    ],
)
def test_transforms_that_lose_points_or_leave_them_behind_are_refused(kind, reason):
    with pytest.raises(ConfigError, match=f"^AlbuPoints: {kind} {reason}"):
        AlbuPoints([dict(type="OneOf", transforms=[dict(type=kind)])])


def test_one_s_own_distortion_is_refused_too():
    class Waves(albumentations.GridDistortion):
        pass

    with pytest.raises(ConfigError, match="^AlbuPoints: Waves loses points"):
        AlbuPoints([dict(type=Waves, num_steps=4)])
