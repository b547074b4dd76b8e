"""Search an SE ticket for EfficientNet-Lite0 on CamVid itself, on 62 held-out training frames.

python tools/search.py configs/segmentation/fpn_lite0_se_camvid_search.py
"""

from mmengine.config import read_base

with read_base():
    from .fpn_lite0_se_camvid_supernet import *
    from .._base_.search_segmentation import *
