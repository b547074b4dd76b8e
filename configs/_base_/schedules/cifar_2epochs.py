"""The shortest CIFAR schedule that tells networks apart: 2 epochs in bfloat16, for two cores.

Made for batches of 64, which give as many steps as 4 epochs with batches of 128.
"""

from mmengine.optim import CosineAnnealingLR, LinearLR
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

from ean_transfer.engine.hooks import ChannelsLastHook
from ean_transfer.engine.optim import BFloat16OptimWrapper

max_epochs = 2
optim_wrapper = dict(
    type=BFloat16OptimWrapper,
    optimizer=dict(type=SGD, lr=0.05, momentum=0.9, weight_decay=1e-4),
)
param_scheduler = [
    dict(type=LinearLR, start_factor=0.1, by_epoch=False, begin=0, end=200),
    dict(
        type=CosineAnnealingLR, by_epoch=True, begin=0, end=max_epochs, convert_to_iter_based=True
    ),
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
custom_hooks = [dict(type=ChannelsLastHook)]
