"""The toy world's counting: how many red discs are there?"""

from mmengine.dataset import DefaultSampler

from ean_transfer.crowd_counting import CountingMetric, DensityMap, PackCountingInputs
from ean_transfer.toy import ToyCounting

data_preprocessor = dict(mean=[127.5] * 3, std=[64.0] * 3, bgr_to_rgb=True)
train_pipeline = [dict(type=DensityMap, stride=4, sigma=2.0), dict(type=PackCountingInputs)]
test_pipeline = [dict(type=PackCountingInputs)]

train_dataloader = dict(
    batch_size=16,
    num_workers=0,
    dataset=dict(type=ToyCounting, split="train", length=600, pipeline=train_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=True),
)
val_dataloader = dict(
    batch_size=50,
    num_workers=0,
    dataset=dict(type=ToyCounting, split="val", length=200, pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
test_dataloader = dict(
    batch_size=50,
    num_workers=0,
    dataset=dict(type=ToyCounting, split="test", length=400, pipeline=test_pipeline),
    sampler=dict(type=DefaultSampler, shuffle=False),
)
val_evaluator = dict(type=CountingMetric)
test_evaluator = dict(type=CountingMetric, csv_file="counts.csv")
