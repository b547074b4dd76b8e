"""Which images train a network, which ones a search scores its masks on, and which ones test it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from ean_transfer.errors import DataError
from ean_transfer.io.files import write_atomically

FEWEST_GROUPS = 10  # a part gets whole groups: with fewer, its size would be a matter of luck


@dataclass(frozen=True)
class Splits:
    """Images by part, as paths in the data's folder.

    Attributes:
        train: What the networks that are compared are trained on: ``supernet`` and ``search``.
        supernet: What the supernet is trained on.
        search: What the search scores its masks on.
        val: What the networks are tested on; no search sees it.
        groups: Number of groups that were kept together; 0 if names show none.
    """

    train: tuple[str, ...]
    supernet: tuple[str, ...]
    search: tuple[str, ...]
    val: tuple[str, ...]
    groups: int = 0

    def write(self, folder: Path) -> None:
        """Write one list per part, such as ``train.txt``, with one path per line."""
        folder.mkdir(parents=True, exist_ok=True)
        for part in ("train", "supernet", "search", "val"):
            write_atomically(folder / f"{part}.txt", "\n".join(getattr(self, part)) + "\n")


def split_images(
    classes: Mapping[str, Sequence[str]],
    seed: int = 0,
    *,
    val: Sequence[str] | None = None,
    val_share: float = 0.2,
    search_share: float = 0.2,
) -> Splits:
    """Draw the parts, the same ones for a seed and a folder.

    Each class is split on its own. Images whose names differ in their last number only, as frames
    of one video or slices of one patient do, form a group and stay together, if there are enough
    groups and none has most of the images.

    Args:
        classes: Class -> its images, as paths in the data's folder; one class for tasks without.
        seed: Seed of the draw.
        val: Images to test on, where the data has such a part; drawn from ``classes`` otherwise.
        val_share: Share of the images to test on.
        search_share: Share of the remaining ones to score masks on.

    Raises:
        DataError: A class has too few images for its parts.
    """
    generator = np.random.RandomState(seed)  # its stream is frozen, a new NumPy keeps the split
    parts: dict[str, list[str]] = {"supernet": [], "search": [], "val": list(val or ())}
    number = 0
    for name, images in classes.items():
        if len(images) < 5:
            raise DataError(
                f"{name}: expected at least 5 images to train, to search and to test on, found "
                f"{len(images)}: add some, or take these out of the data"
            )
        groups = groups_of(images)
        number += len(groups) if len(groups) < len(images) else 0
        order = [groups[place] for place in generator.permutation(len(groups))]
        if val is None:
            parts["val"] += _take(order, round(val_share * len(images)))
        left = sum(map(len, order))
        parts["search"] += _take(order, round(search_share * left))
        parts["supernet"] += [image for group in order for image in group]
    done = {part: tuple(sorted(images)) for part, images in parts.items()}
    return Splits(train=tuple(sorted(done["supernet"] + done["search"])), groups=number, **done)


def _take(groups: list[list[str]], number: int) -> list[str]:
    """Take groups off the end of a list until they have the number of images.

    Groups with which they would have twice as many are passed over, unless too few are left.
    """
    number = max(1, number)
    taken: list[str] = []
    passed: list[list[str]] = []
    while len(taken) < number and len(groups) + len(passed) > 1 and groups:
        group = groups.pop()
        if len(taken) + len(group) <= 2 * number:
            taken += group
        else:
            passed.append(group)
    groups += passed[::-1]
    if 2 * len(taken) < number and len(groups) > 1:
        taken += groups.pop(min(range(len(groups)), key=lambda place: len(groups[place])))
    return taken


def groups_of(images: Sequence[str]) -> list[list[str]]:
    """Images in groups by their names; each alone where there are few groups, or one is most."""
    groups: dict[str, list[str]] = {}
    for image in sorted(images):
        groups.setdefault(group_name(image), []).append(image)
    if len(groups) < FEWEST_GROUPS or max(map(len, groups.values())) > len(images) / 2:
        return [[image] for image in sorted(images)]
    return list(groups.values())


def group_name(image: str) -> str:
    """What an image's name shares with the other frames of its video, or slices of its patient.

    That is the name without its last number: ``scan/p12_003.png`` belongs to ``scan/p12_``.
    """
    path = PurePosixPath(image)
    shared = re.sub(r"\d+(\D*)$", r"\1", path.stem)
    return str(path.parent / shared)
