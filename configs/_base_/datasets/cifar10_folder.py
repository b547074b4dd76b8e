"""CIFAR-10 as an image folder: data/cifar10/{train,test}/<class>/*.jpg|png.

200 images of each class are held out of the training set for the search.
"""

from mmengine.dataset import DefaultSampler
from mmpretrain.datasets import PackInputs, RandomCrop, RandomFlip
from mmpretrain.evaluation import Accuracy

from ean_transfer.classification import HeldOutSplit, ImageFolder

data_root = "data/cifar10"
held_out_per_class = 200

data_preprocessor = dict(
    num_classes=10,
    mean=[125.307, 122.961, 113.8575],  # RGB
    std=[51.5865, 50.847, 51.255],
    to_rgb=True,
)
train_pipeline = [
    # Padded with the mean colour, like He et al., who pad after subtracting the mean. Black borders
    # shift the batch statistics: after a short training, plain images score 6 points lower.
    dict(type=RandomCrop, crop_size=32, padding=4, pad_val=(114, 123, 125)),  # BGR
    dict(type=RandomFlip, prob=0.5, direction="horizontal"),
    dict(type=PackInputs),
]
test_pipeline = [dict(type=PackInputs)]

train_dataset = dict(
    type=ImageFolder, data_root=data_root, split="train", cache=True, pipeline=train_pipeline
)
train_dataloader = dict(
    batch_size=128,
    num_workers=0,  # the images are in memory: workers would only compete for the cores
    dataset=dict(
        type=HeldOutSplit, part="train", per_class=held_out_per_class, dataset=train_dataset
    ),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(
        type=HeldOutSplit,
        part="held_out",
        per_class=held_out_per_class,
        dataset=dict(train_dataset, pipeline=test_pipeline),
    ),
    sampler=dict(type=DefaultSampler, shuffle=False, round_up=False),
)
val_evaluator = dict(type=Accuracy, topk=(1,))

test_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(
        type=ImageFolder, data_root=data_root, split="test", cache=True, pipeline=test_pipeline
    ),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_evaluator = val_evaluator
