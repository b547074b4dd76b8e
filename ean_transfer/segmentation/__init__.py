"""What mmsegmentation lacks: importing this package registers its parts with mmengine.

====================  ==========================================================
:mod:`~.camvid`       CamVid in its common 11-class version
:mod:`~.visualize`    label maps over images
====================  ==========================================================
"""

import ean_transfer._openmmlab  # noqa: F401 - first, it keeps the next imports quiet
from ean_transfer.segmentation.camvid import CamVidDataset
from ean_transfer.segmentation.visualize import draw_segmentation

__all__ = ["CamVidDataset", "draw_segmentation"]
