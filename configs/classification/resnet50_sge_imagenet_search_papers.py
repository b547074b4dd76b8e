"""Search an SGE ticket for ResNet-50 on ImageNet as the papers do.

python tools/search.py configs/classification/resnet50_sge_imagenet_search_papers.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet50_sge_imagenet_supernet import *
    from .._base_.search_papers import *
