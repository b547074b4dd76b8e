"""PreResNet-164 with DIA on CIFAR-100, from scratch, the papers' schedule.

python tools/train.py configs/classification/preresnet164_dia_cifar100.py
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar100 import *
    from .._base_.models.preresnet164_cifar import *
    from .._base_.schedules.cifar import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="DIA", reduction=4), sharing="stage")
model["head"].update(num_classes=num_classes)
