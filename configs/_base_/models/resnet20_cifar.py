"""A classifier on the CIFAR ResNet-20, 3 stages of 3 blocks."""

from mmpretrain.models import (
    ClsDataPreprocessor,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.models.losses import CrossEntropyLoss

from ean_transfer.backbones import TicketResNetCIFAR

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(type=ClsDataPreprocessor),
    backbone=dict(type=TicketResNetCIFAR, depth=20, zero_init_residual=False),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead,
        num_classes=10,
        loss=dict(type=CrossEntropyLoss),
        topk=(1,),
    ),
)
