"""The supernet: one network with every connection, trained and scored under masks."""

from ean_transfer.supernet.evaluation import MaskEvaluator, Score
from ean_transfer.supernet.gates import GateHook
from ean_transfer.supernet.masks import Mask, RandomMaskHook, find_backbone, random_mask
from ean_transfer.supernet.validation import SupernetValLoop

__all__ = [
    "GateHook",
    "Mask",
    "MaskEvaluator",
    "RandomMaskHook",
    "Score",
    "SupernetValLoop",
    "find_backbone",
    "random_mask",
]
