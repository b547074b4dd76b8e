"""DIA supernet of ResNet-50 on ImageNet; the rest is in resnet50_se_imagenet_supernet.py.

python tools/train.py configs/classification/resnet50_dia_imagenet_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet50_se_imagenet_supernet import *

model["backbone"]["attention"] = dict(type="DIA", reduction=20)
