"""A classifier on ResNet-50, 4 stages of 3, 4, 6 and 3 bottlenecks, for ImageNet."""

from mmpretrain.models import (
    ClsDataPreprocessor,
    GlobalAveragePooling,
    ImageClassifier,
    LinearClsHead,
)
from mmpretrain.models.losses import CrossEntropyLoss

from ean_transfer.backbones import TicketResNet

model = dict(
    type=ImageClassifier,
    data_preprocessor=dict(type=ClsDataPreprocessor),
    # mmpretrain's default starts the last BatchNorm of each branch at zero. The papers' code starts
    # it at one: behind a zero, the attention has no gradient at first.
    backbone=dict(type=TicketResNet, depth=50, zero_init_residual=False),
    neck=dict(type=GlobalAveragePooling),
    head=dict(
        type=LinearClsHead,
        num_classes=1000,
        loss=dict(type=CrossEntropyLoss),
        topk=(1, 5),
    ),
)
