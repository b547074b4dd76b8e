"""The toy world as data sets: which kind, which pixels, how many.

Each draws its scenes when it is first used and keeps them in memory: a pipeline starts with the
image itself and needs no loading. A data info holds copies, so transforms may work in place.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS

from ean_transfer.errors import ConfigError
from ean_transfer.toy.world import KINDS, Scene, WorldSettings, draw_split

_PALETTE = [
    [220, 60, 60],
    [225, 205, 70],
    [70, 180, 80],
    [70, 200, 205],
    [75, 95, 220],
    [200, 80, 200],
]  # RGB, a colour a kind


class ToyDataset(BaseDataset):
    """Base of the three: a subclass says what its scenes hold and what is asked about them.

    Args:
        split: ``"train"``, ``"val"`` (for the search and for choosing models) or ``"test"``.
        length: Number of scenes. The shorter of two lengths gives the first scenes of the longer.
        size: Height and width of the image in pixels; ``None``: the task's own.
        seed: Seed of the world. Another seed gives other scenes of the same kind.
        world: Other fields of :class:`~ean_transfer.toy.world.WorldSettings` that differ from the
            task's own, e.g. ``dict(negatives=0.0)``.
        **kwargs: Of mmengine's ``BaseDataset``: ``pipeline``, ``indices``, ``test_mode``, ...

    Raises:
        ConfigError: If the split is unknown or a setting is unknown or out of range.
    """

    settings: ClassVar[WorldSettings]

    def __init__(
        self,
        split: str = "train",
        length: int = 1000,
        size: int | None = None,
        seed: int = 0,
        world: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        changes = dict(world or {})
        if size is not None:
            changes["size"] = size
        # Pairs arrive as lists from a config that went through JSON; a key of a cache is hashable.
        changes = {k: tuple(v) if isinstance(v, list) else v for k, v in changes.items()}
        unknown = sorted(set(changes) - set(WorldSettings.__dataclass_fields__))
        if unknown:
            raise ConfigError(f"toy world: unknown setting {', '.join(unknown)}")
        self.scene_settings = replace(self.settings, **changes)
        self.split = split
        self.length = length
        self.seed = seed
        super().__init__(serialize_data=False, **kwargs)

    def load_data_list(self) -> list[dict[str, Any]]:
        """Draw the scenes, or take those another data set of this process has drawn."""
        scenes = draw_split(self.scene_settings, self.split, self.length, self.seed)
        return [self._data_info(scene) for scene in scenes]

    def _data_info(self, scene: Scene) -> dict[str, Any]:
        shape = scene.image.shape[:2]
        return {"img": scene.image, "img_shape": shape, "ori_shape": shape} | self.truth(scene)

    @abstractmethod
    def truth(self, scene: Scene) -> dict[str, Any]:
        """What a data info holds beside ``img``, ``img_shape`` and ``ori_shape``."""


@DATASETS.register_module()
class ToyClassification(ToyDataset):
    """Which kind: one disc an image, ``gt_label`` its true hue (an index into ``KINDS``)."""

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

    The other half of the discs are of the complementary kind (cyan) and do not count.
    """

    METAINFO = {"classes": (KINDS[0],), "task": "crowd counting"}
    settings = WorldSettings(size=48, discs=(0, 8), kinds=(0, 3))

    def truth(self, scene: Scene) -> dict[str, Any]:
        return {"points": np.ascontiguousarray(scene.points[scene.kinds == 0])}
