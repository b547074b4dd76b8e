"""Search an SE ticket for ResNet-20 on CamVid itself, on 62 held-out training frames.

python tools/search.py configs/segmentation/fcn_resnet20_se_camvid_search_short.py \
    --weights work_dirs/classification/resnet20_se_cifar10_supernet_short/epoch_12.pth
"""

from mmengine.config import read_base

with read_base():
    from .fcn_resnet20_se_camvid_supernet_short import *
    from .._base_.search_segmentation import *
