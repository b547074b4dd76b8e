"""ResNeXt-50, 32x4d, with SE on ImageNet, from scratch, the papers' schedule.

python tools/train.py configs/classification/resnext50_32x4d_se_imagenet.py
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.imagenet import *
    from .._base_.models.resnext50_32x4d_imagenet import *
    from .._base_.schedules.imagenet import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage")
