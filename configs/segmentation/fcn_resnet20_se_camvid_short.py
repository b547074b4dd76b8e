"""FCN on a ticketed ResNet-20 from CIFAR-10, CamVid at half size; a recipe for two CPU cores.

python tools/train.py configs/segmentation/fcn_resnet20_se_camvid_short.py \
    --ticket ticket.json --weights work_dirs/classification/resnet20_se_cifar10_short/epoch_4.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.camvid import *
    from .._base_.models.fcn_resnet20_cifar import *
    from .._base_.schedules.iterations import *

from ean_transfer.engine.hooks import ChannelsLastHook

scale = (240, 180)  # width, height
crop_size = (128, 128)  # height, width
train_pipeline[2].update(scale=scale)  # RandomResize
train_pipeline[3].update(crop_size=crop_size)  # RandomCrop
test_pipeline[1].update(scale=scale)  # Resize
data_preprocessor.update(size=crop_size)
# Images are read in the training process: both cores are busy anyway.
train_dataloader.update(num_workers=0, persistent_workers=False)
train_dataloader["dataset"].update(pipeline=train_pipeline)
val_dataloader.update(num_workers=0, persistent_workers=False)
val_dataloader["dataset"].update(pipeline=test_pipeline)
test_dataloader = val_dataloader

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=4), sharing="stage")
model["decode_head"].update(num_classes=num_classes)

max_iters = 1000
optim_wrapper["optimizer"].update(lr=0.05)
param_scheduler[0].update(end=50)  # warm-up
param_scheduler[1].update(begin=50, end=max_iters)  # decay
train_cfg.update(max_iters=max_iters, val_interval=max_iters)
default_hooks["checkpoint"].update(interval=100)
custom_hooks = [dict(type=ChannelsLastHook)]
