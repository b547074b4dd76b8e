"""NWPU-Crowd's format: one ``.json`` per image, and lists of the splits."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any, Literal

import numpy.typing as npt
from mmengine.registry import DATASETS

from ean_transfer.crowd_counting.datasets.base import CountingDataset, OtherImageError
from ean_transfer.crowd_counting.datasets.files import (
    Files,
    Pair,
    file_name,
    files_left_out,
    named_files,
)
from ean_transfer.errors import DataError
from ean_transfer.io.checked import checked_arguments


@DATASETS.register_module()
class NWPUCrowdDataset(CountingDataset):
    """NWPU-Crowd (Wang et al., 2020), and folders in that format::

        data_root/images/0001.jpg        (or images_part1/ ... images_part5/, as distributed)
        data_root/jsons/0001.json
        data_root/train.txt              (and val.txt, test.txt)

    A line of a list is ``id luminance scene``, of which the id, e.g. ``0001``, is used. A ``.json``
    holds ``img_id``, the image's file name; ``points``, a list of [x, y], empty in an image without
    people; ``human_num``, their number; and boxes, which are not read. 3109 images to train, 500 to
    validate, 1500 to test.

    The test images were published without labels: their data infos have no ``points``, and only
    the benchmark's server can measure errors on them.

    The authors' own preparation drops points outside the image, so there may be some; here they are
    moved onto the border, which keeps the published count.

    Args:
        data_root: The folder that holds the images' folders, ``jsons`` and the lists.
        split: ``"train"``, ``"val"`` or ``"test"``.
        outside: Argument of :class:`CountingDataset`; here ``"clamp"`` by default, see above.
        **kwargs: Arguments of :class:`CountingDataset`.
    """

    without_points = True

    @checked_arguments
    def __init__(
        self,
        data_root: str | os.PathLike[str],
        split: Literal["train", "val", "test"] = "train",
        outside: Literal["error", "clamp"] = "clamp",
        **kwargs: Any,
    ) -> None:
        self.split = split
        super().__init__(data_root, outside, **kwargs)

    def list_files(self) -> Files:
        root = Path(self.data_root)
        split_list = root / f"{self.split}.txt"
        listed = _read_list(split_list)
        parts = (root / "images", *sorted(root.glob("images_part*")))
        images = named_files(*parts)
        jsons = None if self.split == "test" else root / "jsons"

        pairs: list[Pair] = []
        without_annotation: list[Path] = []
        without_image: list[Path] = []
        listed_without_image: list[str] = []
        for _, name in sorted(listed.items()):
            image = images.by_name.get(file_name(name))
            annotation = None if jsons is None else jsons / f"{name}.json"
            annotated = annotation is not None and annotation.is_file()
            if image is not None and (annotated or annotation is None):
                pairs.append(Pair(image, annotation))
            elif image is not None:
                without_annotation.append(image)
            elif annotation is not None and annotated:
                without_image.append(annotation)
            else:
                listed_without_image.append(f"{name} of {split_list.name}")
        names = set(map(file_name, listed.values()))
        left_out, left_out_text = files_left_out(images)
        return Files(
            pairs=tuple(pairs),
            images_without_annotation=tuple(without_annotation),
            annotations_without_image=tuple(without_image),
            listed_without_image=tuple(listed_without_image),
            same_number=tuple(two for two in images.same_name if file_name(two[0].stem) in names),
            left_out=left_out,
            left_out_text=left_out_text,
        )

    def read_points(self, annotation: Path) -> npt.ArrayLike:
        try:
            content = json.loads(annotation.read_text(encoding="utf-8"))
            image, count, points = (content[key] for key in ("img_id", "human_num", "points"))
            problem = (
                "" if count == len(points) else f"human_num={count!r} and {len(points)} points"
            )
        except (ValueError, TypeError, KeyError) as error:
            problem = f"{type(error).__name__} ({error})"
        if problem:
            raise DataError(
                f"{annotation}: expected JSON with img_id, human_num and that many points, found "
                f"{problem}; fetch the file again"
            )
        if not isinstance(image, str) or Path(image).stem != annotation.stem:
            raise OtherImageError(
                f"{annotation}: expected img_id {annotation.stem}.jpg, found {image!r}; give each "
                "image its own file"
            )
        return points


def _read_list(path: Path) -> dict[int, str]:
    """Ids of a split by their numbers."""
    text = path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""
    ids: dict[int, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        name = line.split()[0]
        if not name.isdecimal() or int(name) in ids:
            raise DataError(
                f'{path}, line {number}: expected "id luminance scene" with an id of its own, '
                f"found {line!r:.80}; correct the file"
            )
        ids[int(name)] = name
    if not ids:
        raise DataError(
            f"{path}: expected the list of the split, one id per line, found "
            f"{'an empty file' if path.is_file() else 'no such file'}; fetch it again"
        )
    return ids
