"""The supernet of the network in resnet14_se_cifar10_truth_16epochs.py.

python tools/train.py configs/classification/resnet14_se_cifar10_truth_16epochs_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_supernet_short import *

model["backbone"].update(depth=14, base_channels=8)
