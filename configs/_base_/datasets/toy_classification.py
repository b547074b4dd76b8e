"""The toy world's classification: which kind is the disc?"""

from mmengine.dataset import DefaultSampler
from mmpretrain.datasets import PackInputs
from mmpretrain.evaluation import Accuracy

from ean_transfer.toy import ToyClassification

num_classes = 6
data_preprocessor = dict(num_classes=num_classes, mean=[127.5] * 3, std=[64.0] * 3, to_rgb=True)
pipeline = [dict(type=PackInputs)]

train_dataloader = dict(
    batch_size=32,
    num_workers=0,
    dataset=dict(type=ToyClassification, split="train", length=4000, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(type=ToyClassification, split="val", length=1000, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False, round_up=False),
)
test_dataloader = dict(
    batch_size=250,
    num_workers=0,
    dataset=dict(type=ToyClassification, split="test", length=2000, pipeline=pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=Accuracy, topk=(1,))
test_evaluator = val_evaluator
