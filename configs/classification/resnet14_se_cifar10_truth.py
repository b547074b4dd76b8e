"""ResNet-14 of half the width on CIFAR-10, trained in seconds: for ground truth.

python tools/train.py configs/classification/resnet14_se_cifar10_truth.py --ticket full
python tools/benchmark.py truth configs/classification/resnet14_se_cifar10_truth.py \
    --masks 24 --seeds 0 1 --work-dir work_dirs/truth/cifar10 \
    --out docs/results/truth_cifar10.json
"""

from mmengine.config import read_base

with read_base():
    from .resnet20_se_cifar10_short import *

from ean_transfer.classification import HeldOutSplit

model["backbone"].update(depth=14, base_channels=8)
# Without the images that the search looks at, and with a part of the others.
train_dataloader["dataset"] = dict(
    type=HeldOutSplit,
    part="train",
    per_class=held_out_per_class,
    limit_per_class=500,
    dataset=train_dataset,
)
