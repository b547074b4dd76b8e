"""ResNet-20 with SE on all of CIFAR-10's training set, from scratch, 16 epochs, a modern recipe.

python tools/train.py configs/classification/resnet20_se_cifar10_16epochs.py --ticket full

Nesterov momentum, one-cycle rate, label smoothing, averaged weights, bfloat16, compiled (which
needs a C++ compiler; --cfg-options custom_hooks.2.backend=eager does without).
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10_folder import *
    from .._base_.default_runtime import *
    from .._base_.models.resnet20_cifar import *
    from .._base_.schedules.cifar_one_cycle import *

from mmpretrain.models.losses import LabelSmoothLoss

from ean_transfer.engine.hooks import ChannelsLastHook, CompileHook

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage")
model["head"].update(loss=dict(type=LabelSmoothLoss, label_smooth_val=0.1, mode="original"))
train_dataloader["dataset"] = train_dataset  # nothing is held out
val_dataloader = test_dataloader  # for the log only: the last epoch counts
custom_hooks = [averaged_weights, dict(type=ChannelsLastHook), dict(type=CompileHook)]
