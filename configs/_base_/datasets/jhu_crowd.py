"""JHU-Crowd++: data/jhu_crowd/{train,val,test}/{images,gt}.

2,272 training, 500 validation and 1,600 test images, some without people; shrunk to at most 2048
pixels.
"""

from mmengine.dataset import DefaultSampler

from ean_transfer.crowd_counting import (
    AdaptiveSigmas,
    AlbuPoints,
    CountingMetric,
    DensityMap,
    JHUCrowdDataset,
    LimitSize,
    LoadCountingImage,
    PackCountingInputs,
)

data_root = "data/jhu_crowd"

limit_size = dict(type=LimitSize, longest=2048)  # pixels
train_pipeline = [
    dict(type=LoadCountingImage),
    limit_size,
    dict(type=AdaptiveSigmas),
    dict(
        type=AlbuPoints,
        transforms=[
            dict(type="RandomScale", scale_limit=(-0.25, 0.25)),
            dict(
                type="RandomCrop",
                height=512,
                width=512,
                pad_if_needed=True,
                fill=(124, 116, 104),  # RGB, the mean: what a batch is padded with
            ),
            dict(type="HorizontalFlip", p=0.5),
            dict(type="ToGray", p=0.1),
        ],
    ),
    dict(type=DensityMap, stride=8, sigma="adaptive"),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), limit_size, dict(type=PackCountingInputs)]

dataset = dict(type=JHUCrowdDataset, data_root=data_root)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,  # else mmengine seeds the workers alike in every epoch
    dataset=dict(dataset, split="train", pipeline=train_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(dataset, split="val", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    dataset=dict(dataset, split="test", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
