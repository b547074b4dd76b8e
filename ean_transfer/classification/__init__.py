"""Classification data sets that mmpretrain lacks, and the scorer of masks, all registered here.

======================  ==============================================================
:mod:`~.held_out`       a class-balanced part of a training set, held out for search
:mod:`~.image_folder`   small images in folders, kept decoded in memory
:mod:`~.folder_report`  everything that is wrong with a folder of class folders
:mod:`~.conversion`     class folders out of a table of files and labels
:mod:`~.contact_sheet`  thumbnails of a folder's images with their classes
:mod:`~.cifar`          CIFAR's original files, with an error that says where they go
:mod:`~.scoring`        accuracy and cross entropy of each image, for the search
:mod:`~.inference`      the classes' scores for your own images
======================  ==============================================================
"""

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.classification.cifar import CheckedCIFAR10, CheckedCIFAR100
from ean_transfer.classification.held_out import HeldOutSplit, split_by_class
from ean_transfer.classification.image_folder import ImageFolder
from ean_transfer.classification.scoring import ClassificationScorer

__all__ = [
    "CheckedCIFAR10",
    "CheckedCIFAR100",
    "ClassificationScorer",
    "HeldOutSplit",
    "ImageFolder",
    "split_by_class",
]
