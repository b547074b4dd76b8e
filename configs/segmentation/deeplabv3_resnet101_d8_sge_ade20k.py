"""DeepLabV3 on a ticketed ResNet-101 (SGE), output stride 8, ADE20K.

python tools/train.py configs/segmentation/deeplabv3_resnet101_d8_sge_ade20k.py \
    --ticket full

Tickets for ResNet-50 do not fit ResNet-101, whose third stage has 23 blocks. Search a ticket, or
write one, e.g. python tools/ticket.py convert "111 0000 00000000000000000000000 111" \
    --backbone resnet101 --attention SGE --out ticket.json
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.ade20k import *
    from .._base_.models.deeplabv3_resnet50_d8 import *
    from .._base_.schedules.poly_80k import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage", depth=101)
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)
