"""PSPNet on a ticketed ResNet-50 (DIA), output stride 8, Cityscapes, hard example mining.

python tools/train.py configs/segmentation/pspnet_resnet50_d8_dia_cityscapes_ohem.py \
    --ticket zoo:ean-dia-resnet50 \
    --weights work_dirs/classification/resnet50_dia_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cityscapes import *
    from .._base_.models.pspnet_resnet50_d8 import *
    from .._base_.schedules.poly_40k import *

from mmseg.structures import OHEMPixelSampler

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="DIA", reduction=20), sharing="stage")
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
model["test_cfg"].update(window)

# Online hard example mining: the loss is taken over pixels whose true class has a probability below
# 0.7, but over at least 100 000 pixels per image.
model["decode_head"].update(sampler=dict(type=OHEMPixelSampler, thresh=0.7, min_kept=100_000))
