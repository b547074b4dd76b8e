"""ResNet-50 with SE on ImageNet, from scratch, the papers' schedule.

python tools/train.py configs/classification/resnet50_se_imagenet.py \
    --ticket zoo:ean-se-resnet50
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.imagenet import *
    from .._base_.models.resnet50_imagenet import *
    from .._base_.schedules.imagenet import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage")
