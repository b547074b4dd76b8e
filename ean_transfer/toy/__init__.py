"""A synthetic world for all three tasks: the default data, which needs no download.

Importing this package registers its data sets with mmengine.

====================  ==========================================================
:mod:`~.world`        the seeded generator of scenes
:mod:`~.datasets`     its scenes as classification, segmentation and counting
====================  ==========================================================
"""

from ean_transfer.toy.datasets import ToyClassification, ToyCounting, ToySegmentation
from ean_transfer.toy.world import (
    KINDS,
    SPLITS,
    Scene,
    WorldSettings,
    draw_scene,
    draw_split,
    scene_rng,
)

__all__ = [
    "KINDS",
    "SPLITS",
    "Scene",
    "ToyClassification",
    "ToyCounting",
    "ToySegmentation",
    "WorldSettings",
    "draw_scene",
    "draw_split",
    "scene_rng",
]
