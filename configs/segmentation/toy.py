"""Segmentation in the toy world: an FCN head on the toy network.

python tools/train.py configs/segmentation/toy.py --ticket full \
    --weights work_dirs/classification/toy/epoch_7.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.toy_segmentation import *
    from .._base_.models.toy_backbone import *
    from .._base_.schedules.toy import *

from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor
from mmseg.models.losses import CrossEntropyLoss

model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(data_preprocessor, type=SegDataPreProcessor, pad_val=0, seg_pad_val=255),
    backbone=backbone,
    decode_head=dict(
        type=FCNHead,
        in_index=0,
        channels=32,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.0,
        num_classes=num_classes,
        norm_cfg=dict(type="BN"),
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
optim_wrapper["optimizer"].update(lr=0.05)
