"""A modern short CIFAR schedule: SGD with Nesterov momentum, one-cycle rate, averaged weights.

16 epochs in batches of 128, in bfloat16: on a CPU with instructions for it an epoch takes three
quarters of the time. The averages go over some 200 iterations, half an epoch.
"""

from mmengine.hooks import EMAHook
from mmengine.optim import OneCycleLR
from mmengine.runner import EpochBasedTrainLoop, TestLoop, ValLoop
from torch.optim import SGD

from ean_transfer.engine.optim import BFloat16OptimWrapper

max_epochs = 16
optim_wrapper = dict(
    type=BFloat16OptimWrapper,
    optimizer=dict(type=SGD, lr=0.3, momentum=0.9, weight_decay=5e-4, nesterov=True),
)
param_scheduler = [
    dict(
        type=OneCycleLR,
        eta_max=0.3,
        total_steps=max_epochs,
        pct_start=0.25,
        by_epoch=True,
        convert_to_iter_based=True,
    ),
]
train_cfg = dict(type=EpochBasedTrainLoop, max_epochs=max_epochs, val_interval=max_epochs)
val_cfg = dict(type=ValLoop)
test_cfg = dict(type=TestLoop)
averaged_weights = dict(type=EMAHook, momentum=0.005, update_buffers=True)
