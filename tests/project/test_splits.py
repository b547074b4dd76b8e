"""Parts of a user's images: disjoint, whole, seeded, with classes and groups kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.errors import DataError
from ean_transfer.project.splits import group_name, groups_of, split_images


@given(st.lists(st.integers(5, 40), min_size=1, max_size=4), st.integers(0, 9))
def test_every_image_is_in_one_part_and_every_class_in_each(numbers: list[int], seed: int) -> None:
    classes = {f"class {c}": [f"{c}/{i:03}x.jpg" for i in range(n)] for c, n in enumerate(numbers)}
    splits = split_images(classes, seed)
    assert splits == split_images(classes, seed)
    everything = sorted(image for images in classes.values() for image in images)
    assert sorted(splits.supernet + splits.search + splits.val) == everything
    assert sorted(splits.supernet + splits.search) == list(splits.train)
    for images in classes.values():
        for part in (splits.supernet, splits.search, splits.val):
            assert set(images) & set(part)


def test_frames_of_a_video_stay_together() -> None:
    images = [f"v{video}_{frame:03}.png" for video in range(12) for frame in range(10)]
    splits = split_images({"": images})
    assert splits.groups == 12
    videos = [{group_name(i) for i in p} for p in (splits.supernet, splits.search, splits.val)]
    assert not (videos[0] & videos[1] or videos[0] & videos[2] or videos[1] & videos[2])
    assert len(splits.val) >= 24


def test_a_fifth_tests_and_a_fifth_of_the_rest_scores_masks() -> None:
    splits = split_images({name: [f"{name}/{i:04}.jpg" for i in range(60)] for name in "abcdef"})
    assert [len(part) for part in (splits.supernet, splits.search, splits.val)] == [228, 60, 72]


def test_a_few_groups_are_not_kept_together() -> None:
    images = [f"v{video}_{frame:03}.png" for video in range(3) for frame in range(10)]
    assert split_images({"": images}).groups == 0
    assert groups_of(images) == [[image] for image in images]


def test_images_to_test_on_may_be_given() -> None:
    splits = split_images({"": [f"{i}.jpg" for i in range(10)]}, val=["other/1.jpg"])
    assert splits.val == ("other/1.jpg",) and len(splits.train) == 10


def test_a_class_of_too_few_images_is_named() -> None:
    with pytest.raises(DataError, match="mice: expected at least 5 images .* found 4"):
        split_images({"mice": list("abcd")})


def test_the_lists_are_files_of_one_path_per_line(tmp_path: Path) -> None:
    splits = split_images({"": [f"a b/{i}.jpg" for i in range(10)]})
    splits.write(tmp_path / "splits")
    for part in ("train", "supernet", "search", "val"):
        text = (tmp_path / "splits" / f"{part}.txt").read_text()
        assert tuple(text.splitlines()) == getattr(splits, part)


@pytest.mark.parametrize(
    "sizes",
    [
        [991, *[1] * 9],  # a camera's photographs, and nine with names of their own
        [400, *[20] * 30],
        [450, 300, *[25] * 10],
        [300, 250, 250, 200, *[1] * 8],
        [100] * 10,
    ],
)
@pytest.mark.parametrize("seed", range(5))
def test_a_large_group_is_not_the_whole_test(sizes: list[int], seed: int) -> None:
    images = [f"{chr(97 + group)}_{i}.jpg" for group, size in enumerate(sizes) for i in range(size)]
    splits = split_images({"": images}, seed)
    assert len(splits.supernet) >= 0.2 * len(images)
    assert 0.1 * len(images) <= len(splits.val) <= 0.4 * len(images)
    assert len(splits.search) >= 0.05 * len(images)
