"""UPerNet on a ticketed ResNet-50 (SE), ADE20K.

python tools/train.py configs/segmentation/upernet_resnet50_se_ade20k.py \
    --ticket zoo:ean-se-resnet50 \
    --weights work_dirs/classification/resnet50_se_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ade20k import *
    from .._base_.models.upernet_resnet50 import *
    from .._base_.schedules.poly_160k import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage")
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
