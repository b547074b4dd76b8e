"""ShanghaiTech part A by a ticketed ResNet-50 (SGE), all four stages fused by an FPN, stride 4.

python tools/train.py configs/crowd_counting/resnet50_fpn_sge_shanghaitech_a.py \
    --ticket zoo:ean-sge-resnet50 \
    --weights work_dirs/classification/resnet50_sge_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.shanghaitech_a import *
    from .._base_.models.density_resnet50_fpn import *
    from .._base_.schedules.counting_epochs import *

model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
train_pipeline[3].update(stride=stride)  # DensityMap
train_dataloader["dataset"].update(pipeline=train_pipeline)
