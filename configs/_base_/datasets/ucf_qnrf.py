"""UCF-QNRF: data/ucf_qnrf/{Train,Test}/img_NNNN{.jpg,_ann.mat}.

1,201 training images, the last 120 of them for validation; 334 test images. They are large (up to
9999 x 6666 pixels) and shrunk to at most 2048, as usual.
"""

from mmengine.config import read_base

with read_base():
    from .counting_crops import *

from ean_transfer.crowd_counting import (
    AdaptiveSigmas,
    AlbuPoints,
    DensityMap,
    LimitSize,
    LoadCountingImage,
    PackCountingInputs,
    QNRFDataset,
)

data_root = "data/ucf_qnrf"
train_images, val_images = 1081, 120

limit_size = dict(type=LimitSize, longest=2048)  # pixels
train_pipeline = [
    dict(type=LoadCountingImage),
    limit_size,
    dict(type=AdaptiveSigmas),
    dict(
        type=AlbuPoints,
        transforms=[
            dict(type="RandomScale", scale_limit=(-0.25, 0.25)),
            random_crop,
            dict(type="HorizontalFlip", p=0.5),
            dict(type="ToGray", p=0.1),
        ],
    ),
    dict(type=DensityMap, stride=8, sigma="adaptive"),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), limit_size, dict(type=PackCountingInputs)]

dataset = dict(type=QNRFDataset, data_root=data_root)
train_dataloader["dataset"] = dict(
    dataset, split="train", indices=list(range(train_images)), pipeline=train_pipeline
)
val_dataloader["dataset"] = dict(
    dataset,
    split="train",
    indices=list(range(train_images, train_images + val_images)),
    pipeline=test_pipeline,
)
test_dataloader["dataset"] = dict(dataset, split="test", pipeline=test_pipeline)
