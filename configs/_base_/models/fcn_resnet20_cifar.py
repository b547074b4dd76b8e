"""An FCN head on the CIFAR ResNet-20, output stride 4.

Brings segmentation_tta.py with it.
"""

from mmengine.config import read_base

with read_base():
    from ..segmentation_tta import *

from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor
from mmseg.models.losses import CrossEntropyLoss

from ean_transfer.backbones import TicketResNetCIFAR

norm_cfg = dict(type="BN", requires_grad=True)
model = dict(
    type=EncoderDecoder,
    data_preprocessor=dict(type=SegDataPreProcessor, pad_val=0, seg_pad_val=255),
    backbone=dict(
        type=TicketResNetCIFAR, depth=20, zero_init_residual=False, out_indices=(0, 1, 2)
    ),
    decode_head=dict(
        type=FCNHead,
        in_index=2,
        channels=64,
        num_convs=2,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
