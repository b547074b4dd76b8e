"""ResNet-164 with SE on CIFAR-10, from scratch, the papers' schedule.

python tools/train.py configs/classification/resnet164_se_cifar10.py \
    --ticket work_dirs/classification/resnet164_se_cifar10_search/ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10 import *
    from .._base_.models.resnet164_cifar import *
    from .._base_.schedules.cifar import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage")
