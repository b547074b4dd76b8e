"""The common part of all heads: ResNet-50, output stride 8 by dilation, an auxiliary FCN head.

A head's config sets the type of ``decode_head``. For ResNet-101:
``model["backbone"].update(depth=101)``. Includes segmentation_tta.py.
"""

from mmengine.config import read_base

with read_base():
    from ..segmentation_tta import *

from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor
from mmseg.models.losses import CrossEntropyLoss

from ean_transfer.backbones import TicketResNet

norm_cfg = dict(type="BN", requires_grad=True)
sync_bn = "torch"  # BatchNorm statistics over all processes, if there are several
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(type=SegDataPreProcessor, pad_val=0, seg_pad_val=255),
    backbone=dict(
        type=TicketResNet,
        depth=50,
        out_indices=(0, 1, 2, 3),
        strides=(1, 2, 1, 1),
        dilations=(1, 1, 2, 4),
        norm_cfg=norm_cfg,
    ),
    decode_head=dict(
        in_index=3,
        channels=512,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        # Averages over labelled pixels; mmseg's default divides by the ignored ones as well.
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True),
    ),
    auxiliary_head=dict(
        type=FCNHead,
        in_index=2,
        channels=256,
        num_convs=1,
        concat_input=False,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True, loss_weight=0.4),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
