"""ResNeXt-29, 8x64d, with SGE on CIFAR-10, from scratch, ResNeXt's schedule (arXiv 1611.05431).

python tools/train.py configs/classification/resnext29_8x64d_sge_cifar10.py
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10 import *
    from .._base_.models.resnext29_8x64d_cifar import *
    from .._base_.schedules.cifar import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
optim_wrapper["optimizer"].update(weight_decay=5e-4)
param_scheduler[0].update(milestones=[150, 225])
train_cfg.update(max_epochs=300)
