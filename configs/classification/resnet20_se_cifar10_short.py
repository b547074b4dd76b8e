"""ResNet-20 with SE on all of CIFAR-10's training set, from scratch, 4 epochs, for two cores.

python tools/train.py configs/classification/resnet20_se_cifar10_short.py --ticket full
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10_folder import *
    from .._base_.default_runtime import *
    from .._base_.models.resnet20_cifar import *
    from .._base_.schedules.cifar_short import *

from ean_transfer.engine.hooks import ChannelsLastHook

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage")
train_dataloader["dataset"] = train_dataset  # nothing is held out
val_dataloader = test_dataloader  # for the log only: the last epoch counts

max_epochs = 4
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=max_epochs)
custom_hooks = [dict(type=ChannelsLastHook)]
