"""The toy world's segmentation: which kind is each pixel of?"""

from mmengine.dataset import DefaultSampler
from mmseg.datasets.transforms import PackSegInputs

from ean_transfer.segmentation import PerClassIoUMetric
from ean_transfer.toy import ToySegmentation

num_classes = 7  # the background and six kinds
data_preprocessor = dict(mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True, size=(48, 48))
pipeline = [dict(type=PackSegInputs)]

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(type=ToySegmentation, split="train", length=600, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    dataset=dict(type=ToySegmentation, split="val", length=200, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = dict(
    batch_size=50,
    num_workers=0,
    dataset=dict(type=ToySegmentation, split="test", length=400, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=PerClassIoUMetric, iou_metrics=["mIoU"])
test_evaluator = val_evaluator
