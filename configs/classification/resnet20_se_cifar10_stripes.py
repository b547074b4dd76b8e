"""ResNet-20 with SE on CIFAR-10, 2 epochs, its stripes scored every 100 iterations.

python tools/train.py configs/classification/resnet20_se_cifar10_stripes.py --ticket full
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_2epochs import *

from ean_transfer.engine.hooks import StripeHook

custom_hooks = [*custom_hooks, dict(type=StripeHook, interval=100, by_epoch=False)]
