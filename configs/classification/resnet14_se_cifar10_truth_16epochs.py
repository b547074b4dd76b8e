"""ResNet-14 of half the width on CIFAR-10, 16 epochs of a modern recipe: ground truth above 80 %.

python tools/train.py configs/classification/resnet14_se_cifar10_truth_16epochs.py --ticket full
python tools/benchmark.py truth configs/classification/resnet14_se_cifar10_truth_16epochs.py \
    --masks 24 --seeds 0 1 --work-dir work_dirs/truth/cifar10_16epochs \
    --out docs/results/truth_cifar10_16epochs.json

A training takes some 18 minutes of one core; what is trained is kept, and the same command goes on
from there. Two processes can share the folder, one with each seed.
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_16epochs import *

from ean_transfer.classification import HeldOutSplit

model["backbone"].update(depth=14, base_channels=8)
train_dataloader["dataset"] = dict(  # without the images that the search looks at
    type=HeldOutSplit, part="train", per_class=held_out_per_class, dataset=train_dataset
)
