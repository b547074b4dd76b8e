"""The default search (search.py) of a segmentor, by the cross entropy per pixel."""

from mmengine.config import read_base

with read_base():
    from .search import *

from ean_transfer.segmentation import SegmentationScorer

search.update(scorer=dict(type=SegmentationScorer))
# Masks differ less per pixel than per image of a classifier.
search["reward"].update(weight=0.05)
