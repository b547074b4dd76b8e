"""CIFAR-10 from its original files (data/cifar10_python/), read by mmpretrain.

mmpretrain downloads them if they are absent. For images in folders see cifar10_folder.py.
"""

from mmengine.dataset import DefaultSampler
from mmpretrain.datasets import PackInputs, RandomCrop, RandomFlip
from mmpretrain.evaluation import Accuracy

from ean_transfer.classification import CheckedCIFAR10

num_classes = 10
data_preprocessor = dict(
    num_classes=num_classes,
    mean=[125.307, 122.961, 113.8575],  # RGB, as the files are
    std=[51.5865, 50.847, 51.255],
    to_rgb=False,
)
train_pipeline = [
    dict(type=RandomCrop, crop_size=32, padding=4, pad_val=(125, 123, 114)),  # the mean colour
    dict(type=RandomFlip, prob=0.5, direction="horizontal"),
    dict(type=PackInputs),
]
test_pipeline = [dict(type=PackInputs)]
train_dataset = dict(
    type=CheckedCIFAR10, data_root="data/cifar10_python", split="train", pipeline=train_pipeline
)
test_dataset = dict(
    type=CheckedCIFAR10, data_root="data/cifar10_python", split="test", pipeline=test_pipeline
)

train_dataloader = dict(
    batch_size=128,
    num_workers=2,
    persistent_workers=True,
    dataset=train_dataset,
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=2,
    persistent_workers=True,
    dataset=test_dataset,
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=Accuracy, topk=(1,))
test_evaluator = val_evaluator
