"""SE supernet on CIFAR-10, ResNet-20, a recipe for two cores.

python tools/train.py configs/classification/resnet20_se_cifar10_supernet_short.py
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10_folder import *
    from .._base_.default_runtime import *
    from .._base_.models.resnet20_cifar import *
    from .._base_.schedules.cifar_short import *
    from .._base_.supernet import *

from ean_transfer.engine.hooks import ChannelsLastHook

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage", ticket="full")
train_dataloader["dataset"].update(limit_per_class=2000)

max_epochs = 12
param_scheduler[1].update(T_max=max_epochs - 1, end=max_epochs)
train_cfg.update(max_epochs=max_epochs, val_interval=4)
custom_hooks.append(dict(type=ChannelsLastHook))
