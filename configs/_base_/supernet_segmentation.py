"""Makes a supernet of a segmentor's training, see supernet.py."""

from mmengine.config import read_base

with read_base():
    from .supernet import *

from ean_transfer.segmentation import SegmentationScorer

val_cfg.update(scorer=dict(type=SegmentationScorer))
