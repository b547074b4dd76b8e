"""CIFAR-100 from its original files (data/cifar100_python/), read by mmpretrain."""

from mmengine.config import read_base

with read_base():
    from .cifar10 import *

from ean_transfer.classification import CheckedCIFAR100

num_classes = 100
data_preprocessor.update(
    num_classes=num_classes,
    mean=[129.304, 124.070, 112.434],  # RGB
    std=[68.170, 65.392, 70.418],
)
train_pipeline[0].update(pad_val=(129, 124, 112))
train_dataset.update(
    type=CheckedCIFAR100, data_root="data/cifar100_python", pipeline=train_pipeline
)
test_dataset.update(type=CheckedCIFAR100, data_root="data/cifar100_python")
train_dataloader["dataset"] = train_dataset
val_dataloader["dataset"] = test_dataset
test_dataloader = val_dataloader
