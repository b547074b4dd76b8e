"""ADE20K (SceneParse150), 150 classes: 20210 images to train, 2000 to test.

data/ade/ADEChallengeData2016/{images,annotations}/{training,validation}/; label 0 is ignored.
The schedules are made for 16 images per iteration: four processes with four each.
"""

from mmengine.config import read_base

with read_base():
    from .segmentation_crops import *

from mmseg.evaluation import IoUMetric

from ean_transfer.segmentation.datasets import CheckedADE20KDataset

data_root = "data/ade/ADEChallengeData2016"
num_classes = 150

dataset = dict(type=CheckedADE20KDataset, data_root=data_root)
train_dataloader["dataset"] = dict(
    dataset,
    data_prefix=dict(img_path="images/training", seg_map_path="annotations/training"),
    pipeline=train_pipeline,
)
val_dataloader["dataset"] = dict(
    dataset,
    data_prefix=dict(img_path="images/validation", seg_map_path="annotations/validation"),
    pipeline=test_pipeline,
)
test_dataloader = val_dataloader
val_evaluator["type"] = IoUMetric  # does not report each of the 150 classes
test_evaluator = val_evaluator
