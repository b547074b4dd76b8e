"""The toy world's SE supernet of segmentation.

python tools/train.py configs/segmentation/toy_supernet.py \
    --weights work_dirs/classification/toy/epoch_7.pth
"""

from mmengine.config import read_base

with read_base():
    from .toy import *
    from .._base_.supernet_segmentation import *

model["backbone"].update(ticket="full")
custom_hooks[0].update(probability=0.8)  # as in classification/toy_supernet.py
