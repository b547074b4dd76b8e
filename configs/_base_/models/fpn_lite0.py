"""Semantic FPN on EfficientNet-Lite0, see lite0.py.

Brings segmentation_tta.py with it.
"""

from mmengine.config import read_base

with read_base():
    from ..segmentation_tta import *
    from .lite0 import *

from mmseg.models import EncoderDecoder, FPNHead, SegDataPreProcessor
from mmseg.models.losses import CrossEntropyLoss
from mmseg.models.necks import FPN

model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(data_preprocessor, type=SegDataPreProcessor, pad_val=0, seg_pad_val=255),
    backbone=backbone,
    neck=dict(type=FPN, out_channels=64, num_outs=4),
    decode_head=dict(
        type=FPNHead,
        in_index=[0, 1, 2, 3],
        feature_strides=[4, 8, 16, 32],
        channels=64,
        dropout_ratio=0.1,
        norm_cfg=dict(type="BN", requires_grad=True),
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
