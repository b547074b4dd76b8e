"""CIFAR-10's training set in two parts, 500 images a class held out for the search."""

from mmengine.config import read_base

with read_base():
    from .cifar10 import *

from mmengine.dataset import DefaultSampler

from ean_transfer.classification import HeldOutSplit

per_class = 500
rest_dataset = dict(type=HeldOutSplit, part="train", per_class=per_class, dataset=train_dataset)
held_out_dataset = dict(
    type=HeldOutSplit,
    part="held_out",
    per_class=per_class,
    dataset=dict(train_dataset, pipeline=test_pipeline),
)
held_out_sampler = dict(type=DefaultSampler, shuffle=False, round_up=False)
