"""NWPU-Crowd: data/nwpu_crowd/{images,jsons,train.txt,val.txt,test.txt}.

3,109 training, 500 validation and 1,500 test images, some without people; shrunk to at most 2048
pixels. The test images have no public labels: tools/test.py writes their counts to counts.csv.
"""

from mmengine.dataset import DefaultSampler

from ean_transfer.crowd_counting import (
    AlbuPoints,
    CountingMetric,
    DensityMap,
    LimitSize,
    LoadCountingImage,
    NWPUCrowdDataset,
    PackCountingInputs,
)

data_root = "data/nwpu_crowd"

limit_size = dict(type=LimitSize, longest=2048)  # pixels
train_pipeline = [
    dict(type=LoadCountingImage),
    limit_size,
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
    dict(type=DensityMap, stride=8, sigma=4.0),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), limit_size, dict(type=PackCountingInputs)]

dataset = dict(type=NWPUCrowdDataset, data_root=data_root)
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
