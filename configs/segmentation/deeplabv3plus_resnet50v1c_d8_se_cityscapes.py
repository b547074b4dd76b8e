"""DeepLabV3+ on a ticketed ResNet-50 (SE) with the V1c stem, Cityscapes, tested in windows.

python tools/train.py configs/segmentation/deeplabv3plus_resnet50v1c_d8_se_cityscapes.py \
    --ticket zoo:ean-se-resnet50 \
    --weights work_dirs/classification/resnet50v1c_se_imagenet/epoch_120.pth

The V1c stem has three 3x3 convolutions instead of one 7x7. Tickets are the same for both stems;
weights are not, and come from
python tools/train.py configs/classification/resnet50_se_imagenet.py \
    --ticket zoo:ean-se-resnet50 --cfg-options model.backbone.deep_stem=True \
    --work-dir work_dirs/classification/resnet50v1c_se_imagenet
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.cityscapes import *
    from .._base_.models.deeplabv3plus_resnet50_d8 import *
    from .._base_.schedules.poly_80k import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SE", reduction=16), sharing="stage", deep_stem=True)
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
model["test_cfg"].update(window)
