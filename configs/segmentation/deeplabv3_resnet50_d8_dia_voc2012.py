"""DeepLabV3 on a ticketed ResNet-50 (DIA), output stride 8, Pascal VOC 2012.

python tools/train.py configs/segmentation/deeplabv3_resnet50_d8_dia_voc2012.py \
    --ticket zoo:ean-dia-resnet50 \
    --weights work_dirs/classification/resnet50_dia_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.voc2012_aug import *
    from .._base_.models.deeplabv3_resnet50_d8 import *
    from .._base_.schedules.poly_40k import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="DIA", reduction=20), sharing="stage")
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
