"""Search an SE ticket for ResNet-50 on ImageNet.

python tools/search.py configs/classification/resnet50_se_imagenet_search.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet50_se_imagenet_supernet import *
    from .._base_.search import *
