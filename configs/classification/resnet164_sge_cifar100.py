"""ResNet-164 with SGE on CIFAR-100, from scratch, the papers' schedule.

python tools/train.py configs/classification/resnet164_sge_cifar100.py \
    --ticket work_dirs/classification/resnet164_sge_cifar100_search/ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar100 import *
    from .._base_.models.resnet164_cifar import *
    from .._base_.schedules.cifar import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
model["head"].update(num_classes=num_classes)
