"""ResNet-20 with SE on all of CIFAR-10's training set, from scratch, 2 epochs in bfloat16.

python tools/train.py configs/classification/resnet20_se_cifar10_2epochs.py --ticket full
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cifar10_folder import *
    from .._base_.default_runtime import *
    from .._base_.models.resnet20_cifar import *
    from .._base_.schedules.cifar_2epochs import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage")
train_dataloader["batch_size"] = 64
train_dataloader["dataset"] = train_dataset  # nothing is held out
val_dataloader = test_dataloader  # for the log only: the last epoch counts
