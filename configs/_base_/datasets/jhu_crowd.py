"""JHU-Crowd++: data/jhu_crowd/{train,val,test}/{images,gt}.

2,272 training, 500 validation and 1,600 test images, some without people; shrunk to at most 2048
pixels and augmented like UCF-QNRF.
"""

from mmengine.config import read_base

with read_base():
    from .ucf_qnrf import *

from ean_transfer.crowd_counting import JHUCrowdDataset

data_root = "data/jhu_crowd"

dataset = dict(type=JHUCrowdDataset, data_root=data_root)
train_dataloader["dataset"] = dict(dataset, split="train", pipeline=train_pipeline)
val_dataloader["dataset"] = dict(dataset, split="val", pipeline=test_pipeline)
test_dataloader["dataset"] = dict(dataset, split="test", pipeline=test_pipeline)
