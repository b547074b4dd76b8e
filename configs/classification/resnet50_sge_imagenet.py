"""ResNet-50 with SGE on ImageNet, from scratch, the papers' schedule.

python tools/train.py configs/classification/resnet50_sge_imagenet.py \
    --ticket zoo:ean-sge-resnet50
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.imagenet import *
    from .._base_.models.resnet50_imagenet import *
    from .._base_.schedules.imagenet import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
