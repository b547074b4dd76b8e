"""WRN-52-4 with SE on CIFAR-10, from scratch, the schedule of Wide ResNets (arXiv 1605.07146).

python tools/train.py configs/classification/wrn52_4_se_cifar10.py
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10 import *
    from .._base_.models.wrn52_4_cifar import *
    from .._base_.schedules.cifar import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage")
optim_wrapper["optimizer"].update(weight_decay=5e-4, nesterov=True)
param_scheduler[0].update(milestones=[60, 120, 160], gamma=0.2)
train_cfg.update(max_epochs=200)
