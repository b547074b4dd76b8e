"""Search an SE ticket for ResNet-56 on CIFAR-10: 27 blocks, 300 steps of 3 masks.

python tools/search.py configs/classification/resnet56_se_cifar10_search_short.py

On two cores, with a supernet that is already trained:

torchrun --nproc_per_node=2 tools/search.py \
    configs/classification/resnet56_se_cifar10_search_short.py \
    --launcher pytorch --supernet CHECKPOINT
"""

from mmengine.config import read_base

with read_base():
    from .resnet56_se_cifar10_supernet_short import *
    from .._base_.search import *

# The search scores masks on a quarter of the held-out images, and then the best on all.
search.update(steps=300, images=500, confirm=12)
