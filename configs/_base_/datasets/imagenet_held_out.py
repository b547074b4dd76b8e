"""ImageNet's training set in two parts, 100 images a class held out for the search."""

from mmengine.config import read_base

with read_base():
    from .imagenet import *

from mmengine.dataset import DefaultSampler

from ean_transfer.classification import HeldOutSplit

per_class = 100
rest_dataset = dict(type=HeldOutSplit, part="train", per_class=per_class, dataset=train_dataset)
held_out_dataset = dict(
    type=HeldOutSplit,
    part="held_out",
    per_class=per_class,
    dataset=dict(train_dataset, pipeline=test_pipeline),
)
held_out_sampler = dict(type=DefaultSampler, shuffle=False, round_up=False)
