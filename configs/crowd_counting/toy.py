"""The toy world's counting task: a density head on the toy network.

python tools/train.py configs/crowd_counting/toy.py --ticket full \
    --weights work_dirs/classification/toy/epoch_7.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.toy_counting import *
    from .._base_.models.toy_backbone import *
    from .._base_.schedules.toy import *

from torch.optim import Adam

from ean_transfer.crowd_counting import CountingPreprocessor, DensityCounter, DensityHead

model = dict(
    type=DensityCounter,
    data_preprocessor=dict(data_preprocessor, type=CountingPreprocessor, pad_size_divisor=4),
    backbone=backbone,
    head=dict(type=DensityHead, channels=32, stride=4),
)
optim_wrapper["optimizer"] = dict(type=Adam, lr=3e-3)
