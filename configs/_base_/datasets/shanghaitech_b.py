"""ShanghaiTech part B: data/shanghaitech/part_B/{train,test}_data/{images,ground-truth}.

400 training images, the last 40 of them for validation; 316 test images.
"""

from mmengine.config import read_base

with read_base():
    from .counting_crops import *

from ean_transfer.crowd_counting import (
    AlbuPoints,
    DensityMap,
    LoadCountingImage,
    PackCountingInputs,
    ShanghaiTechDataset,
)

data_root = "data/shanghaitech"
train_images, val_images = 360, 40

train_pipeline = [
    dict(type=LoadCountingImage),
    dict(type=AlbuPoints, transforms=[random_crop, dict(type="HorizontalFlip", p=0.5)]),
    dict(type=DensityMap, stride=8, sigma=15.0),  # pixels, as usual for part B
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), dict(type=PackCountingInputs)]

dataset = dict(type=ShanghaiTechDataset, data_root=data_root, part="B")
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
