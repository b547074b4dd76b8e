"""A few photographs in ShanghaiTech part B's format: data/crowd/part_B/{train,test}_data.

For small sets of your own: images are shrunk to at most 512 pixels; the last 5 of 30 training
images are for validation.
"""

from mmengine.dataset import DefaultSampler, InfiniteSampler

from ean_transfer.crowd_counting import (
    AlbuPoints,
    CountingMetric,
    DensityMap,
    LimitSize,
    LoadCountingImage,
    PackCountingInputs,
    ShanghaiTechDataset,
)

data_root = "data/crowd"
train_images, val_images = 25, 5

data_preprocessor = dict(mean=[123.675, 116.28, 103.53], std=[64.0] * 3, bgr_to_rgb=True)  # RGB
limit_size = dict(type=LimitSize, longest=512)  # pixels
train_pipeline = [
    dict(type=LoadCountingImage),
    limit_size,
    dict(
        type=AlbuPoints,
        transforms=[
            dict(type="RandomScale", scale_limit=(-0.3, 0.3)),
            dict(
                type="RandomCrop",
                height=256,
                width=256,
                pad_if_needed=True,
                fill=(124, 116, 104),  # RGB, the mean colour, as batches are padded
            ),
            dict(type="HorizontalFlip", p=0.5),
            dict(type="ColorJitter", brightness=(0.7, 1.3), contrast=(0.7, 1.3), hue=(0, 0)),
            dict(type="ToGray", p=0.1),
        ],
    ),
    dict(type=DensityMap, stride=4, sigma=4.0),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), limit_size, dict(type=PackCountingInputs)]

dataset = dict(type=ShanghaiTechDataset, data_root=data_root, part="B")
train_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(
        dataset, split="train", indices=list(range(train_images)), pipeline=train_pipeline
    ),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(
        dataset,
        split="train",
        indices=list(range(train_images, train_images + val_images)),
        pipeline=test_pipeline,
    ),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=0,
    dataset=dict(dataset, split="test", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
