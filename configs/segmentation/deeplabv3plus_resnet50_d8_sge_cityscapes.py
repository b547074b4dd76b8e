"""DeepLabV3+ on a ticketed ResNet-50 (SGE), output stride 8, Cityscapes, tested in windows.

python tools/train.py configs/segmentation/deeplabv3plus_resnet50_d8_sge_cityscapes.py \
    --ticket zoo:ean-sge-resnet50 \
    --weights work_dirs/classification/resnet50_sge_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cityscapes import *
    from .._base_.models.deeplabv3plus_resnet50_d8 import *
    from .._base_.schedules.poly_80k import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
model["test_cfg"].update(window)
