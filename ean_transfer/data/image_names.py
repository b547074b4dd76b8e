"""Names of a data set's images, by which two data sets are compared: do they share an image?"""

from __future__ import annotations

import os
from typing import Any

from mmengine.dataset import BaseDataset, ClassBalancedDataset, ConcatDataset, RepeatDataset


def image_names(dataset: Any) -> list[str] | None:
    """One name per image of a data set; equal names are the same image.

    An image in a file is named by its path, with links resolved. One in an archive, such as
    CIFAR's, is named by data set, folder, split and its index there.

    Args:
        dataset: A data set of mmengine's kind, or one that wraps others.

    Returns:
        The names in the data set's order; of a data set that repeats images, each of them once.
        ``None`` where the images cannot be named.
    """
    getattr(dataset, "full_init", lambda: None)()
    if isinstance(dataset, ConcatDataset):
        parts = [image_names(part) for part in dataset.datasets]
        return None if None in parts else [name for part in parts for name in part or ()]
    if isinstance(dataset, (RepeatDataset, ClassBalancedDataset)):
        return image_names(dataset.dataset)
    if isinstance(dataset, BaseDataset):
        return _names(dataset)
    inner, indices = getattr(dataset, "dataset", None), getattr(dataset, "indices", None)
    if inner is None or indices is None:
        return None
    names = image_names(inner)  # of a part, such as HeldOutPart, torch's Subset or KFoldDataset
    return None if names is None else [names[int(index)] for index in indices]


def _names(dataset: BaseDataset) -> list[str] | None:
    if len(dataset) == 0:
        return []
    if "img_path" in dataset.get_data_info(0):
        infos = (dataset.get_data_info(index) for index in range(len(dataset)))
        return [os.path.realpath(info["img_path"]) for info in infos]
    split, chosen = getattr(dataset, "split", None), dataset._indices
    if split is None or dataset.filter_cfg:
        return None
    if chosen is None or isinstance(chosen, int):
        if chosen is not None and chosen < 0:  # the last ones, of a number that is not kept
            return None
        chosen = range(len(dataset))
    folder = (dataset.data_prefix or {}).get("root") or dataset.data_root
    source = [type(dataset).__name__, os.path.realpath(folder or ""), split]
    drawn = [getattr(dataset, name, "") for name in ("seed", "scene_settings")]  # the toy world's
    return [":".join(map(str, [*source, *drawn, int(index)])) for index in chosen]
