"""The toy world as three data sets: which kind (classification), which pixels, how many discs.

Each draws its scenes when it is first used and keeps them in memory: a pipeline starts with the
image itself and needs no loading. A data info holds copies, so transforms may work in place.
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ean_transfer.toy.world import KINDS, Scene, Split, WorldSettings, draw_split

_PALETTE = [
    [220, 60, 60],
    [225, 205, 70],
    [70, 180, 80],
    [70, 200, 205],
    [75, 95, 220],
    [200, 80, 200],
]  # RGB, one colour per kind


class ToyDataset(BaseDataset):
    """Base of the toy data sets: subclasses say what scenes hold and what is asked about them.

    Args:
        split: ``"train"``, ``"val"`` (for the search and for choosing models) or ``"test"``.
        length: Number of scenes. The shorter of two lengths gives the first scenes of the longer.
        size: Height and width of the image in pixels; the task's own by default.
        seed: Seed of the world. Another seed gives other scenes of the same kind.
        world: Other fields of :class:`~ean_transfer.toy.world.WorldSettings` that differ from the
            task's own, e.g. ``dict(negatives=0.0)``.
        **kwargs: Arguments of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ...

    Raises:
        ConfigError: The split or a setting is unknown, or a setting out of its range.
    """

    settings: ClassVar[WorldSettings]
    in_drawn_order = True  # each scene is drawn by itself

    def __init__(
        self,
        split: Split = "train",
        length: int = 1000,
        size: int | None = None,
        seed: int = 0,
        world: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        changes = {} if size is None else {"size": size}
        self.scene_settings = WorldSettings(**{**dict(self.settings), **(world or {}), **changes})
        self.split = split
        self.length = length
        self.seed = seed
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes, or reuse those that another data set of this process has drawn."""
        scenes = draw_split(self.scene_settings, self.split, self.length, self.seed)
        return [self._data_info(scene) for scene in scenes]

    def _data_info(self, scene: Scene) -> dict[str, Any]:
        shape = scene.image.shape[:2]
        return {"img": scene.image, "img_shape": shape, "ori_shape": shape} | self.truth(scene)

    @abstractmethod
    def truth(self, scene: Scene) -> dict[str, Any]:
        """The part of a data info that holds the labels."""


@DATASETS.register_module()
class ToyClassification(ToyDataset):
    """Which kind: one disc per image, ``gt_label`` its true hue (an index into ``KINDS``)."""

    METAINFO = {"classes": KINDS}
    settings = WorldSettings()

    def truth(self, scene: Scene) -> dict[str, Any]:
        return {"gt_label": scene.label}

    def get_cat_ids(self, idx: int) -> list[int]:
        """The image's class, as the list that mmengine's wrappers expect."""
        return [self.get_data_info(idx)["gt_label"]]


@DATASETS.register_module()
class ToySegmentation(ToyDataset):
    """Which pixels: ``gt_seg_map`` (H, W) uint8 is 1 + the true hue on discs, 0 elsewhere."""

    METAINFO = {"classes": ("background", *KINDS), "palette": [[90, 90, 90], *_PALETTE]}
    settings = WorldSettings(size=48, discs=(2, 6))

    def truth(self, scene: Scene) -> dict[str, Any]:
        return {
            "gt_seg_map": scene.label_map,
            "seg_fields": ["gt_seg_map"],
            "reduce_zero_label": False,
        }


@DATASETS.register_module()
class ToyCounting(ToyDataset):
    """How many: ``points`` (N, 2) float32, (x, y), are the centres of the discs of kind 0 (red).

    About half of the discs are of the complementary kind (cyan) and do not count.
    """

    METAINFO = {"classes": (KINDS[0],), "task": "crowd counting"}
    settings = WorldSettings(size=48, discs=(0, 8), kinds=(0, 3))

    def truth(self, scene: Scene) -> dict[str, Any]:
        return {"points": np.ascontiguousarray(scene.points[scene.kinds == 0])}
