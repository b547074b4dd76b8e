"""Search an SE ticket for ResNet-20 on CIFAR-10; under an hour on two cores.

python tools/search.py configs/classification/resnet20_se_cifar10_search_short.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_supernet_short import *

from ean_transfer.search import ReinforceStrategy

search = dict(
    strategy=dict(type=ReinforceStrategy),
    steps=300,
    masks_per_step=3,
    sparsity_weight=2.0,  # percentage points of accuracy that a mask without attention is worth
    bn="batch",
)
