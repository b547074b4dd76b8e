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
    # Percentage points of accuracy that a mask without attention is worth. The papers' 2 goes with
    # the supernet's running statistics, under which accuracies spread over many points. Scored with
    # their own statistics all masks lie within about 2 points, and 2 would outvote them.
    reward=dict(quality="accuracy", cost="sparsity", weight=0.5),
    bn="batch",
)
