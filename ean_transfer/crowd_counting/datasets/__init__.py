"""Counting data sets, one module per published format and one for your own.

Each image becomes ``{img_path, height, width, points, sample_idx}`` with ``points`` (N, 2) float32
as in :mod:`ean_transfer.crowd_counting.points`. Folders are checked in full when the data set is
built, so that a missing or broken file shows before training and not in its third epoch;
:mod:`ean_transfer.crowd_counting.folder_report` lists all that is wrong with a folder at once.

A part of a data set is chosen by mmengine's ``indices``, which counts in the order of the image
numbers: ``indices=50`` keeps the first 50, ``indices=-100`` the last 100,
``indices=list(range(50, 60))`` any others. ``draw=dict(pool=100, size=50, seed=0)`` draws images at
random, and the same with ``rest=True`` keeps the images that this draw leaves. Choose models on a
part of the *training* set held out this way, not on the test set.

=======================  ============================================================
:mod:`~.base`            the base class: checks of a folder, points outside images
:mod:`~.draw`            a random part of the images
:mod:`~.files`           listing images, annotations, and which lacks the other
:mod:`~.matlab`          points out of MATLAB files of every version
:mod:`~.names`           a data set by its name, whose folder is not read yet
:mod:`~.shanghaitech`    ShanghaiTech: one ``.mat`` per image, in a folder of its own
:mod:`~.qnrf`            UCF-QNRF: one ``.mat`` beside each image
:mod:`~.jhu`             JHU-Crowd++: one line of text per head
:mod:`~.nwpu`            NWPU-Crowd: one ``.json`` per image, and lists of splits
:mod:`~.dots`            VGG Cells: one dot image beside each image
:mod:`~.plain`           your own: images of any names, and one table of points
=======================  ============================================================
"""

from ean_transfer.crowd_counting.datasets.base import CountingDataset, OtherImageError
from ean_transfer.crowd_counting.datasets.dots import DotImageDataset
from ean_transfer.crowd_counting.datasets.draw import Draw
from ean_transfer.crowd_counting.datasets.files import Files, Pair
from ean_transfer.crowd_counting.datasets.jhu import JHUCrowdDataset
from ean_transfer.crowd_counting.datasets.nwpu import NWPUCrowdDataset
from ean_transfer.crowd_counting.datasets.plain import PointsDataset
from ean_transfer.crowd_counting.datasets.qnrf import QNRFDataset
from ean_transfer.crowd_counting.datasets.shanghaitech import ShanghaiTechDataset

__all__ = [
    "CountingDataset",
    "DotImageDataset",
    "Draw",
    "Files",
    "JHUCrowdDataset",
    "NWPUCrowdDataset",
    "OtherImageError",
    "Pair",
    "PointsDataset",
    "QNRFDataset",
    "ShanghaiTechDataset",
]
