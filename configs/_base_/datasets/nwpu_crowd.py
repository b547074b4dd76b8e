"""NWPU-Crowd: data/nwpu_crowd/{images,jsons,train.txt,val.txt,test.txt}.

3,109 training, 500 validation and 1,500 test images, some without people; shrunk to at most 2048
pixels and augmented like UCF-QNRF. The test images have no public labels: tools/test.py writes
their counts to counts.csv.
"""

from mmengine.config import read_base

with read_base():
    from .ucf_qnrf import *

from ean_transfer.crowd_counting import NWPUCrowdDataset

data_root = "data/nwpu_crowd"

del train_pipeline[2]  # AdaptiveSigmas: the benchmark's sigma is fixed
train_pipeline[3].update(sigma=4.0)
dataset = dict(type=NWPUCrowdDataset, data_root=data_root)
train_dataloader["dataset"] = dict(dataset, split="train", pipeline=train_pipeline)
val_dataloader["dataset"] = dict(dataset, split="val", pipeline=test_pipeline)
test_dataloader["dataset"] = dict(dataset, split="test", pipeline=test_pipeline)
