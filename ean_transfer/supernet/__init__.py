"""The supernet: one network with every connection, scored under masks.

=====================  =================================================================
:mod:`~.sampling`      what makes a supernet; seeds that all processes share
:mod:`~.evaluation`    scores masks on held-out images
:mod:`~.tree`          runs many masks in one pass over the blocks
:mod:`~.validation`    a loop that scores none, full and random masks while training
=====================  =================================================================
"""

from ean_transfer.attachment.network import find_backbone
from ean_transfer.supernet.evaluation import MaskEvaluator, Score
from ean_transfer.supernet.validation import SupernetValLoop
from ean_transfer.ticket.mask import Mask, random_mask

__all__ = [
    "Mask",
    "MaskEvaluator",
    "Score",
    "SupernetValLoop",
    "find_backbone",
    "random_mask",
]
