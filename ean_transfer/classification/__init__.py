"""What mmpretrain lacks for the search: importing this package registers its parts with mmengine.

====================  ==========================================================
:mod:`~.cifar`        CIFAR's original files, which says where they belong
:mod:`~.splits`       a class-balanced part held out of a training set
:mod:`~.folder`       small images in folders, kept decoded in memory
====================  ==========================================================
"""

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.classification.cifar import CheckedCIFAR10, CheckedCIFAR100
from ean_transfer.classification.held_out import HeldOutSplit, split_by_class
from ean_transfer.classification.image_folder import ImageFolder

__all__ = [
    "CheckedCIFAR10",
    "CheckedCIFAR100",
    "HeldOutSplit",
    "ImageFolder",
    "split_by_class",
]
