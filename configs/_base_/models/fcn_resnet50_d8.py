"""An FCN head on ResNet-50, output stride 8 by dilation."""

from mmseg.models import EncoderDecoder, FCNHead, SegDataPreProcessor
from mmseg.models.losses import CrossEntropyLoss

from ean_transfer.backbones import TicketResNet

norm_cfg = dict(type="BN", requires_grad=True)
sync_bn = "torch"  # BatchNorm over all processes, where there are several
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
        type=FCNHead,
        in_channels=2048,
        in_index=3,
        channels=512,
        num_convs=2,
        dropout_ratio=0.1,
        norm_cfg=norm_cfg,
        align_corners=False,
        loss_decode=dict(type=CrossEntropyLoss, avg_non_ignore=True),
    ),
    train_cfg=dict(),
    test_cfg=dict(mode="whole"),
)
