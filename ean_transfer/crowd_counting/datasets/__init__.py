"""Counting data sets in their published on-disk formats.

Each image becomes ``{img_path, height, width, points, sample_idx}`` with ``points`` (N, 2) float32
as in :mod:`ean_transfer.crowd_counting.points`. Folders are checked in full when the data set is
built, so that a missing or broken file shows before training and not in its third epoch;
:mod:`ean_transfer.crowd_counting.folder_report` lists all that is wrong with a folder at once.

A part of a data set is chosen by mmengine's ``indices``, which counts in the order of the image
numbers: ``indices=50`` the first 50, ``indices=-100`` the last 100, ``indices=list(range(50, 60))``
any others; or at random by ``draw=dict(pool=100, size=50, seed=0)`` and, for what the draw leaves,
``draw=dict(pool=100, size=50, seed=0, rest=True)``. Choose models on a part of the *training* set
held out this way, not on the test set.

=======================  ========================================================
:mod:`~.base`            what they share
:mod:`~.draw`            a random part of the images
:mod:`~.files`           images, annotations, and which lacks the other
:mod:`~.shanghaitech`    ShanghaiTech: a ``.mat`` an image, in folders of its own
:mod:`~.qnrf`            UCF-QNRF: a ``.mat`` beside each image
:mod:`~.jhu`             JHU-Crowd++: a line of text a head
:mod:`~.nwpu`            NWPU-Crowd: a ``.json`` an image, and lists of splits
:mod:`~.dots`            VGG Cells: a dot image an image
=======================  ========================================================
"""

from ean_transfer.crowd_counting.datasets.base import CountingDataset, OtherImageError
from ean_transfer.crowd_counting.datasets.dots import DotImageDataset
from ean_transfer.crowd_counting.datasets.draw import Draw
from ean_transfer.crowd_counting.datasets.files import Files, Pair
from ean_transfer.crowd_counting.datasets.jhu import JHUCrowdDataset
from ean_transfer.crowd_counting.datasets.nwpu import NWPUCrowdDataset
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
    "QNRFDataset",
    "ShanghaiTechDataset",
]
