from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from mmengine.registry import DATASETS, TRANSFORMS

from ean_transfer.crowd_counting import (
    AlbuPoints,
    DensityMap,
    DotImageDataset,
    LoadCountingImage,
    PackCountingInputs,
    ShanghaiTechDataset,
)
from ean_transfer.errors import ConfigError, DataError
from tests.helpers import ROOT

DATA = ROOT / "data"
PIPELINE = [
    dict(type=LoadCountingImage),
    dict(type=DensityMap, stride=8, sigma=4.0),
    dict(type=PackCountingInputs),
]


def write_mat(path, points):
    """The nesting of ShanghaiTech's files: image_info[0,0]['location'][0,0]."""
    info = np.empty((1, 1), dtype=[("location", object), ("number", object)])
    info[0, 0] = (np.array(points, dtype=float), np.array([[len(points)]], dtype=np.uint8))
    cell = np.empty((1, 1), dtype=object)
    cell[0, 0] = info
    scipy.io.savemat(path, {"image_info": cell})


def write_crowd(root, truth="ground-truth", points=((3.5, 4), (64, 48))):
    """Three images of 64 x 48, numbers 1, 2, 10, the last one empty."""
    folder = root / "part_B" / "train_data"
    (folder / "images").mkdir(parents=True)
    (folder / truth).mkdir()
    for number, these in ((1, points), (2, points[:1]), (10, ())):
        cv2.imwrite(str(folder / f"images/IMG_{number}.jpg"), np.full((48, 64, 3), 90, np.uint8))
        write_mat(folder / f"{truth}/GT_IMG_{number}.mat", these)
    return folder


def write_cells(root, dots=((0, 0), (31, 5), (31, 31))):
    for number in range(4):
        cv2.imwrite(str(root / f"{number:03d}cell.png"), np.full((32, 32, 3), 40, np.uint8))
        image = np.zeros((32, 32, 3), np.uint8)
        for x, y in dots[:number]:
            image[y, x] = (0, 0, 255)
        cv2.imwrite(str(root / f"{number:03d}dots.png"), image)


@pytest.mark.parametrize("truth", ["ground-truth", "ground_truth"])
def test_shanghaitech_reads_points_in_the_order_of_the_numbers(tmp_path, truth):
    write_crowd(tmp_path, truth)
    dataset = ShanghaiTechDataset(tmp_path, part="B", split="train", pipeline=PIPELINE)
    infos = [dataset.get_data_info(index) for index in range(len(dataset))]
    assert [Path(info["img_path"]).name for info in infos] == [
        "IMG_1.jpg",
        "IMG_2.jpg",
        "IMG_10.jpg",
    ]
    assert infos[0]["points"].dtype == np.float32
    np.testing.assert_array_equal(infos[0]["points"], [(3.5, 4), (64, 48)])
    assert [len(info["points"]) for info in infos] == [2, 1, 0]
    assert [info["sample_idx"] for info in infos] == [0, 1, 2]
    sample = dataset[0]["data_samples"]
    assert sample.gt_count == 2
    assert sample.gt_density.sum() == pytest.approx(2, abs=1e-5)
    assert dataset[2]["data_samples"].gt_count == 0


def test_dot_images_read_red_pixels_as_x_y(tmp_path):
    write_cells(tmp_path)
    dataset = DATASETS.build(dict(type=DotImageDataset, data_root=tmp_path, pipeline=PIPELINE))
    assert len(dataset) == 4
    np.testing.assert_array_equal(dataset.get_data_info(3)["points"], [(0, 0), (31, 5), (31, 31)])
    item = dataset[3]
    assert item["inputs"].shape == (3, 32, 32)
    assert item["inputs"].dtype == torch.uint8
    assert item["data_samples"].img_path.endswith("003cell.png")


def test_indices_choose_parts_of_the_pool(tmp_path):
    write_cells(tmp_path)

    def counts(indices):
        dataset = DotImageDataset(tmp_path, indices=indices)
        return [len(dataset.get_data_info(index)["points"]) for index in range(len(dataset))]

    assert counts(2) == [0, 1]
    assert counts(-1) == [3]
    assert counts([1, 2]) == [1, 2]


def test_missing_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=r"part_A/train_data/images: expected a folder"):
        ShanghaiTechDataset(tmp_path, part="A")
    with pytest.raises(DataError, match="nowhere"):
        DotImageDataset(tmp_path / "nowhere")


def test_empty_folder_is_named(tmp_path):
    with pytest.raises(DataError, match=f"{tmp_path}: expected files"):
        DotImageDataset(tmp_path)


def test_missing_partner_is_named_both_ways(tmp_path):
    folder = write_crowd(tmp_path)
    (folder / "ground-truth/GT_IMG_2.mat").rename(folder / "ground-truth/GT_IMG_3.mat")
    with pytest.raises(DataError, match=r"found none for IMG_2\.jpg"):
        ShanghaiTechDataset(tmp_path, part="B")
    (folder / "images/IMG_2.jpg").unlink()
    with pytest.raises(DataError, match=r"found none for GT_IMG_3\.mat"):
        ShanghaiTechDataset(tmp_path, part="B")


def test_file_that_is_not_matlab_is_named(tmp_path):
    folder = write_crowd(tmp_path)
    (folder / "ground-truth/GT_IMG_2.mat").write_text("x,y\n1,2\n")
    with pytest.raises(DataError, match=r"GT_IMG_2\.mat: expected a MATLAB file"):
        ShanghaiTechDataset(tmp_path, part="B")


def test_matlab_file_without_points_is_named(tmp_path):
    folder = write_crowd(tmp_path)
    scipy.io.savemat(folder / "ground-truth/GT_IMG_2.mat", {"other": 1})
    with pytest.raises(DataError, match=r"GT_IMG_2\.mat: expected a MATLAB file"):
        ShanghaiTechDataset(tmp_path, part="B")


@pytest.mark.parametrize(
    ("point", "problem"),
    [((np.nan, 1), "finite"), ((-2, 1), r"\(-2, 1\)"), ((65, 1), "64 x 48 pixels")],
)
def test_bad_points_are_named_with_file_and_image(tmp_path, point, problem):
    write_crowd(tmp_path, points=((1, 1), point))
    with pytest.raises(DataError, match=rf"GT_IMG_1\.mat: .*{problem}.*IMG_1\.jpg"):
        ShanghaiTechDataset(tmp_path, part="B")


def test_points_outside_can_be_clamped_but_not_nan(tmp_path):
    write_crowd(tmp_path, points=((-2, 1), (65, 1)))
    dataset = ShanghaiTechDataset(tmp_path, part="B", outside="clamp")
    np.testing.assert_array_equal(dataset.get_data_info(0)["points"], [(0, 1), (64, 1)])
    write_crowd(tmp_path / "nan", points=((np.nan, 1),))
    with pytest.raises(DataError, match="finite"):
        ShanghaiTechDataset(tmp_path / "nan", part="B", outside="clamp")


def test_unreadable_image_is_named(tmp_path):
    write_cells(tmp_path)
    (tmp_path / "002cell.png").write_bytes(b"not an image")
    with pytest.raises(DataError, match=r"002cell\.png: expected an image"):
        DotImageDataset(tmp_path)


def test_image_that_vanishes_after_the_check_is_named(tmp_path):
    write_cells(tmp_path)
    dataset = DotImageDataset(tmp_path, pipeline=PIPELINE)
    (tmp_path / "001cell.png").unlink()
    (tmp_path / "002cell.png").write_bytes(b"not an image")
    for index in (1, 2):
        with pytest.raises(DataError, match=rf"00{index}cell\.png: expected an image"):
            dataset[index]


def test_unreadable_dots_and_other_colours_are_named(tmp_path):
    write_cells(tmp_path)
    cv2.imwrite(str(tmp_path / "001dots.png"), np.full((32, 32, 3), 40, np.uint8))
    with pytest.raises(DataError, match=r"001dots\.png: expected red pixels.*1024 such"):
        DotImageDataset(tmp_path)
    (tmp_path / "001dots.png").write_bytes(b"")
    with pytest.raises(DataError, match=r"001dots\.png: expected an image"):
        DotImageDataset(tmp_path)


@pytest.mark.parametrize("arguments", [{"part": "C"}, {"part": "A", "split": "val"}])
def test_unknown_part_or_split_is_refused(tmp_path, arguments):
    with pytest.raises(ValueError, match="expected"):
        ShanghaiTechDataset(tmp_path, **arguments)


def toy(points=((0, 0), (39.6, 20), (40, 30), (12.3, 7.7)), size=(30, 40)):
    image = np.random.default_rng(0).integers(0, 255, (*size, 3), dtype=np.uint8)
    return {"img": image, "points": np.array(points, dtype=np.float32)}


def test_pipeline_takes_images_that_are_already_there():
    results = toy()
    for transform in PIPELINE:
        results = TRANSFORMS.build(transform)(results)
    assert results["data_samples"].gt_count == 4
    assert results["data_samples"].img_shape == (30, 40)
    assert results["data_samples"].gt_density.shape == (4, 5)


def test_flips_lose_no_point_not_even_at_the_edge():
    transform = AlbuPoints([dict(type="HorizontalFlip", p=1), dict(type="VerticalFlip", p=1)])
    once = transform(toy())
    np.testing.assert_allclose(once["points"], [(39, 29), (0, 9), (0, 0), (26.7, 21.3)], atol=1e-4)
    np.testing.assert_array_equal(once["img"], toy()["img"][::-1, ::-1])
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
            result = crop(toy(points))
            counts.append(len(result["points"]))
            assert result["img_shape"] == (15, 20)
            sum_of_map = DensityMap(4, 2.0)(result)["gt_density"].sum()
            assert sum_of_map == pytest.approx(counts[-1], abs=1e-3)
    assert sum(counts) == 200


def test_crop_larger_than_the_image_pads_and_keeps_all_points():
    transform = AlbuPoints([dict(type="RandomCrop", height=64, width=64, pad_if_needed=True)])
    results = transform(toy())
    assert results["img"].shape == (64, 64, 3)
    assert len(results["points"]) == 4


def test_points_that_left_a_crop_do_not_come_back_by_padding():
    transform = AlbuPoints(
        [
            dict(type="Crop", x_min=10, y_min=0, x_max=20, y_max=20),
            dict(type="PadIfNeeded", min_height=40, min_width=40),
        ]
    )
    assert len(transform(toy())["points"]) == 1


def test_points_stay_on_what_they_mark():
    image = np.zeros((40, 60, 3), np.uint8)
    points = np.array([(5, 7), (30, 20), (59, 39), (0, 0)], dtype=np.float32)
    image[points[:, 1].astype(int), points[:, 0].astype(int), 2] = 255
    transform = AlbuPoints(
        [
            dict(type="RandomCrop", height=30, width=40),
            dict(type="OneOf", transforms=[dict(type="HorizontalFlip"), dict(type="Transpose")]),
        ]
    )
    np.random.seed(0)
    for _ in range(20):
        result = transform({"img": image, "points": points})
        rows, columns = np.nonzero(result["img"][..., 2])
        found = set(zip(columns.tolist(), rows.tolist(), strict=True))
        assert found == {(int(x), int(y)) for x, y in result["points"]}


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
        return [transform(toy())["img"] for _ in range(5)]

    np.testing.assert_array_equal(draws(3), draws(3))
    assert not np.array_equal(draws(3), draws(4))

    # two coins of a half must not fall alike: they would with one seed a transform
    gradient = np.arange(16, dtype=np.uint8).reshape(4, 4)[..., None].repeat(3, axis=2)
    flips = AlbuPoints([dict(type="HorizontalFlip", p=0.5), dict(type="VerticalFlip", p=0.5)])
    seen = {
        int(flips({"img": gradient, "points": np.zeros((0, 2))})["img"][0, 0, 0]) for _ in range(60)
    }
    assert seen == {0, 3, 12, 15}


def test_colours_are_seen_as_rgb():
    red_bgr = np.zeros((4, 4, 3), np.uint8)
    red_bgr[..., 2] = 200
    grey = AlbuPoints([dict(type="ToGray", p=1)])({"img": red_bgr, "points": np.zeros((0, 2))})
    assert grey["img"][0, 0, 0] == pytest.approx(0.299 * 200, abs=1)  # the weight of red


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


@pytest.mark.realdata
@pytest.mark.skipif(not (DATA / "cells").is_dir(), reason="data/cells absent: unpack the data")
def test_real_cells_have_their_published_counts():
    dataset = DotImageDataset(DATA / "cells", pipeline=PIPELINE)
    counts = [len(dataset.get_data_info(index)["points"]) for index in range(len(dataset))]
    assert (len(counts), min(counts), max(counts)) == (200, 74, 317)
    assert round(np.mean(counts)) == 176
    for index in range(0, 200, 40):
        sample = dataset[index]["data_samples"]
        assert sample.gt_density.sum() == pytest.approx(sample.gt_count, abs=1e-3)


@pytest.mark.realdata
@pytest.mark.skipif(not (DATA / "crowd").is_dir(), reason="data/crowd absent: unpack the data")
def test_real_crowds_have_their_counts():
    counts = []
    for split, images in (("train", 30), ("test", 4)):
        dataset = ShanghaiTechDataset(DATA / "crowd", part="B", split=split, pipeline=PIPELINE)
        assert len(dataset) == images
        samples = [item["data_samples"] for item in dataset]
        counts += [sample.gt_count for sample in samples]
        for sample in samples:
            assert sample.gt_density.sum() == pytest.approx(sample.gt_count, abs=1e-3)
    assert (min(counts), max(counts)) == (3, 53)
