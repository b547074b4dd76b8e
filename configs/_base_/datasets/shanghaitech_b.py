"""ShanghaiTech part B: data/shanghaitech/part_B/{train,test}_data/{images,ground-truth}.

400 training images, of which the last 40 validate; 316 test images.
"""

from mmengine.dataset import DefaultSampler

from ean_transfer.crowd_counting import (
    AlbuPoints,
    CountingMetric,
    DensityMap,
    LoadCountingImage,
    PackCountingInputs,
    ShanghaiTechDataset,
)

data_root = "data/shanghaitech"
train_images, val_images = 360, 40

train_pipeline = [
    dict(type=LoadCountingImage),
    dict(
        type=AlbuPoints,
        transforms=[
            dict(
                type="RandomCrop",
                height=512,
                width=512,
                pad_if_needed=True,
                fill=(124, 116, 104),  # RGB, the mean: what a batch is padded with
            ),
            dict(type="HorizontalFlip", p=0.5),
        ],
    ),
    dict(type=DensityMap, stride=8, sigma=15.0),  # sigma in pixels, part B's usual one
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), dict(type=PackCountingInputs)]

dataset = dict(type=ShanghaiTechDataset, data_root=data_root, part="B")
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,  # else mmengine seeds the workers alike in every epoch
    dataset=dict(
        dataset, split="train", indices=list(range(train_images)), pipeline=train_pipeline
    ),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
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
    num_workers=2,
    persistent_workers=True,
    dataset=dict(dataset, split="test", pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
