"""ShanghaiTech part A by a ticketed ResNet-50 (SGE) with DM-Count's loss.

python tools/train.py configs/crowd_counting/resnet50_sge_shanghaitech_a_dm_count.py \
    --ticket zoo:ean-sge-resnet50 \
    --weights work_dirs/classification/resnet50_sge_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .resnet50_sge_shanghaitech_a import *

from ean_transfer.crowd_counting import DMCountLoss

model.update(losses=dict(type=DMCountLoss), density_factor=1.0)
# The loss compares with the points and needs no target map.
del train_pipeline[3], train_pipeline[1]  # DensityMap, AdaptiveSigmas
train_dataloader["dataset"].update(pipeline=train_pipeline)
