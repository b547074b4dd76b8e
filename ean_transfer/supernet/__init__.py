"""The supernet: one network with every connection, scored under masks.

=====================  ====================================================================
:mod:`~.sampling`      random masks that train a supernet, and what it must have
:mod:`~.evaluation`    scores masks on held-out images
:mod:`~.scoring`       what a score is: metrics, scorers, outcomes per image
:mod:`~.batches`       batches of plain PyTorch, for the model and image by image
:mod:`~.importance`    what each connection does for the loss, from one backward pass
:mod:`~.held_out`      the held-out images, the same batches for every mask
:mod:`~.on_disk`       where these are kept if memory does not hold them
:mod:`~.statistics`    BatchNorm statistics of a mask
:mod:`~.sharing`       work that masks share, on a network of any make
:mod:`~.order`         refuses networks whose blocks run in another order than a mask's bits
:mod:`~.tree`          the same on a ticketed backbone, inside its blocks as well
:mod:`~.validation`    a loop that scores none, full and random masks while training
=====================  ====================================================================
"""

from ean_transfer.attachment.network import find_backbone
from ean_transfer.supernet.evaluation import MaskEvaluator
from ean_transfer.supernet.sampling import MaskSampler
from ean_transfer.supernet.scoring import Outcome, Score, Scorer
from ean_transfer.supernet.validation import SupernetValLoop
from ean_transfer.ticket.mask import Mask, random_mask

__all__ = [
    "Mask",
    "MaskEvaluator",
    "MaskSampler",
    "Outcome",
    "Score",
    "Scorer",
    "SupernetValLoop",
    "find_backbone",
    "random_mask",
]
