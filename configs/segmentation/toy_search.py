"""Search an SE ticket on the toy world's segmentation itself; under a minute.

python tools/search.py configs/segmentation/toy_search.py \
    --weights work_dirs/classification/toy/epoch_7.pth
"""

from mmengine.config import read_base

with read_base():
    from .toy_supernet import *
    from .._base_.search_segmentation import *

search.update(steps=12, last_steps=4)
