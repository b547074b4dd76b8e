"""The common part of the crowd counting data sets: random crops of 512 x 512, eight in a batch.

A data set's config adds its pipelines and sets "dataset" of each of the three loaders.
"""

from mmengine.dataset import DefaultSampler

from ean_transfer.crowd_counting import CountingMetric

random_crop = dict(
    type="RandomCrop",
    height=512,
    width=512,
    pad_if_needed=True,
    fill=(124, 116, 104),  # RGB, the mean colour, as batches are padded
)
train_dataloader = dict(
    batch_size=8,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=1,
    num_workers=2,
    persistent_workers=True,
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = val_dataloader
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
