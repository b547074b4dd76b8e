"""UCF-QNRF by a ticketed ResNet-50 (SGE), cut after stage 3.

python tools/train.py configs/crowd_counting/resnet50_sge_ucf_qnrf.py \
    --ticket zoo:ean-sge-resnet50 \
    --weights work_dirs/classification/resnet50_sge_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ucf_qnrf import *
    from .._base_.models.density_resnet50 import *
    from .._base_.schedules.counting_epochs import *

model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
