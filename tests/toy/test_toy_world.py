"""The toy world is reproducible, its answers agree with its pixels, negatives hide hues."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from mmengine.registry import DATASETS
from mmpretrain.datasets.transforms import PackInputs
from mmseg.datasets.transforms import PackSegInputs
from mmseg.evaluation import IoUMetric

from ean_transfer.errors import EANError
from ean_transfer.toy import (
    KINDS,
    SPLITS,
    Scene,
    ToyClassification,
    ToyCounting,
    ToySegmentation,
    WorldSettings,
    draw_scene,
    draw_split,
    scene_rng,
)

MANY = ToySegmentation.settings.model_copy(update={"discs": (0, 7)})
TASKS = (ToyClassification, ToySegmentation, ToyCounting)


def draw(index: int, settings: WorldSettings = MANY, seed: int = 0, split: str = "train") -> Scene:
    return draw_scene(scene_rng(seed, split, index), settings)


def assert_same_scene(one: Scene, other: Scene) -> None:
    for name in Scene._fields:
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name), err_msg=name)


def test_a_scene_depends_on_its_seed_split_and_index_alone():
    in_order = draw_split(MANY, "val", 5, seed=3)
    for index in (4, 0, 2):
        assert_same_scene(in_order[index], draw(index, seed=3, split="val"))


def test_a_shorter_split_is_the_beginning_of_a_longer_one():
    for short, long in zip(draw_split(MANY, "test", 3), draw_split(MANY, "test", 6), strict=False):
        assert_same_scene(short, long)


def test_seeds_splits_and_indices_give_different_scenes():
    scenes = [
        draw(index, seed=seed, split=split)
        for index in range(3)
        for seed in range(3)
        for split in SPLITS
    ]
    assert len({scene.image.tobytes() for scene in scenes}) == len(scenes)


@hypothesis_settings(max_examples=25, deadline=None)
@given(size=st.integers(14, 61), index=st.integers(0, 10**6))
def test_any_size_gives_a_scene_whose_parts_agree(size: int, index: int):
    scene = draw(index, MANY.model_copy(update={"size": size}))

    assert scene.image.shape == (size, size, 3) and scene.image.dtype == np.uint8
    assert scene.label_map.shape == (size, size) and scene.label_map.dtype == np.uint8
    assert scene.points.shape == (len(scene.kinds), 2) and scene.points.dtype == np.float32
    assert scene.label == (scene.kinds[0] if len(scene.kinds) else -1)

    labels, _, _, centroids = cv2.connectedComponentsWithStats(
        (scene.label_map > 0).astype(np.uint8), connectivity=8
    )
    assert labels - 1 == len(scene.points), "each disc is one component of its own"
    for point, kind in zip(scene.points, scene.kinds, strict=True):
        column, row = np.rint(point).astype(int)
        assert scene.label_map[row, column] == kind + 1
        assert np.linalg.norm(centroids[1:] - point, axis=1).min() < 0.5, "points are (x, y)"


def test_kinds_are_balanced_and_half_of_the_images_are_negatives():
    scenes = draw_split(WorldSettings(), "train", 600)
    assert np.bincount([s.label for s in scenes], minlength=len(KINDS)).min() > 70
    assert np.mean([s.contrast < 0 for s in scenes]) == pytest.approx(0.5, abs=0.08)

    kinds = np.concatenate(
        [scene.kinds for scene in draw_split(ToyCounting.settings, "train", 200)]
    )
    assert set(kinds) == {0, 3} and np.mean(kinds == 0) == pytest.approx(0.5, abs=0.06)


def test_a_discs_pixels_leave_two_kinds_and_the_whole_image_tells_which():
    scenes = draw_split(WorldSettings(), "train", 1000)
    labels = np.array([scene.label for scene in scenes])
    negative = np.array([scene.contrast < 0 for scene in scenes])
    discs = np.array([scene.image[scene.label_map > 0].mean(axis=0) for scene in scenes]) - 127.5
    overall = np.array([scene.image.mean() for scene in scenes])
    corner = np.array([scene.image[:3, :3].mean() for scene in scenes])
    looks_negative = overall < np.median(overall)

    assert _nearest_colour_accuracy(discs, labels) < 0.55
    assert _nearest_colour_accuracy(np.where(negative[:, None], -discs, discs), labels) > 0.95
    assert np.mean(looks_negative == negative) > 0.95
    assert _nearest_colour_accuracy(np.where(looks_negative[:, None], -discs, discs), labels) > 0.9
    # A part of the image is much weaker evidence than the whole.
    assert np.mean((corner < np.median(corner)) == negative) < 0.85


def _nearest_colour_accuracy(colours: np.ndarray, labels: np.ndarray) -> float:
    """Accuracy of naming the nearest class mean; the second half of the colours is the test set."""
    colours = colours / np.linalg.norm(colours, axis=1, keepdims=True)
    half = len(colours) // 2
    means = np.stack([colours[:half][labels[:half] == k].mean(axis=0) for k in range(len(KINDS))])
    distances = np.linalg.norm(colours[half:, None] - means, axis=2)
    return float(np.mean(distances.argmin(axis=1) == labels[half:]))


@pytest.mark.parametrize("task", TASKS)
def test_data_sets_are_built_by_name_and_lengthwise(task: type):
    dataset = DATASETS.build(dict(type=task.__name__, split="val", length=7, size=41, seed=5))
    assert len(dataset) == 7
    assert dataset[3]["img"].shape == (41, 41, 3)
    assert dataset.metainfo["classes"]


@pytest.mark.parametrize("task", TASKS)
def test_transforms_may_work_in_place(task: type):
    dataset = task(length=2)
    before = dataset[1]
    spoiled = dataset[1]
    for value in spoiled.values():
        if isinstance(value, np.ndarray):
            value[...] = 0
    for key, value in dataset[1].items():
        np.testing.assert_array_equal(value, before[key], err_msg=key)


def test_classification_goes_through_mmpretrains_packing():
    dataset = ToyClassification(length=4, pipeline=[dict(type=PackInputs)])
    packed = dataset[2]
    assert packed["inputs"].shape == (3, 24, 24)
    assert packed["data_samples"].gt_label.tolist() == dataset.get_cat_ids(2)
    assert packed["data_samples"].img_shape == (24, 24)


def test_segmentation_goes_through_mmsegs_packing_and_metric():
    dataset = ToySegmentation(length=4, pipeline=[dict(type=PackSegInputs)])
    metric = IoUMetric()
    metric.dataset_meta = dataset.metainfo
    for item in dataset:
        sample = item["data_samples"]
        assert sample.ori_shape == sample.gt_sem_seg.shape
        sample.set_data({"pred_sem_seg": sample.gt_sem_seg})
        metric.process({}, [sample.to_dict()])
    assert metric.evaluate(len(dataset))["mIoU"] == 100.0
    assert len(dataset.metainfo["palette"]) == len(dataset.metainfo["classes"])


def test_counting_counts_the_target_kind_only():
    dataset = ToyCounting(length=30)
    counts = [len(item["points"]) for item in dataset]
    components = [
        cv2.connectedComponents((scene.label_map == 1).astype(np.uint8))[0] - 1
        for scene in draw_split(ToyCounting.settings, "train", 30)
    ]
    assert counts == components
    assert 0 in counts and max(counts) > 2


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(split="training"), "'training'"),
        (dict(length=0), "0"),
        (dict(size=8), "8"),
        (dict(seed=-1), "-1"),
        (dict(world=dict(colour="red")), "colour"),
        (dict(world=dict(discs=(3, 1))), r"discs.*\(3, 1\)"),
        (dict(world=dict(radius=4)), "radius.*4"),
        (dict(world=dict(contrast=[0.5, 2.0])), "2.0"),
        (dict(world=dict(noise=-0.1)), "-0.1"),
        (dict(world=dict(kinds=(0, 6))), "6"),
    ],
)
def test_a_bad_argument_is_named_in_one_line(arguments: dict, named: str):
    with pytest.raises(EANError, match=named) as error:
        ToyClassification(**{"length": 2, **arguments})
    assert "\n" not in str(error.value)
