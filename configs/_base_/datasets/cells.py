"""VGG Cells: data/cells/NNN{cell,dots}.png, 200 images of 256 x 256.

The usual protocol: N of the images 1-100 (the pool) are drawn for training, here 50, and the others
are for validation; 101-200 are the test set. The error is averaged over several draws.
"""

from mmengine.dataset import DefaultSampler, InfiniteSampler

from ean_transfer.crowd_counting import (
    AlbuPoints,
    CountingMetric,
    DensityMap,
    DotImageDataset,
    LoadCountingImage,
    PackCountingInputs,
)

data_root = "data/cells"

data_preprocessor = dict(mean=[0.0] * 3, std=[64.0] * 3, bgr_to_rgb=True)  # mostly black images
train_pipeline = [
    dict(type=LoadCountingImage),
    dict(
        type=AlbuPoints,
        # No crops: cells at an image's edge look different and are marked differently from cells
        # at a crop's edge. With crops the network hardly sees image edges, and counted 15 % too
        # few cells there.
        transforms=[
            dict(type="HorizontalFlip", p=0.5),
            dict(type="VerticalFlip", p=0.5),
        ],
    ),
    dict(type=DensityMap, stride=4, sigma=2.0),
    dict(type=PackCountingInputs),
]
test_pipeline = [dict(type=LoadCountingImage), dict(type=PackCountingInputs)]

dataset = dict(type=DotImageDataset, data_root=data_root)
draw = dict(pool=100, size=50, seed=0)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    dataset=dict(dataset, draw=draw, pipeline=train_pipeline),
    sampler=dict(type=InfiniteSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(dataset, draw=dict(draw, rest=True), pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = dict(
    batch_size=4,
    num_workers=0,
    dataset=dict(dataset, indices=-100, pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
