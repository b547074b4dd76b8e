"""SE supernet of ResNet-164 on CIFAR-10.

Stops before the first drop of the learning rate, where the papers take the supernet.

python tools/train.py configs/classification/resnet164_se_cifar10_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .resnet164_se_cifar10 import *
    from .._base_.datasets.held_out import *
    from .._base_.supernet import *

per_class = 500
rest_dataset.update(per_class=per_class, dataset=train_dataset)
held_out_dataset.update(per_class=per_class, dataset=dict(train_dataset, pipeline=test_pipeline))

model["backbone"].update(ticket="full")
train_dataloader["dataset"] = rest_dataset
val_dataloader["dataset"] = held_out_dataset
val_dataloader["sampler"] = held_out_sampler
train_cfg.update(max_epochs=80, val_interval=10)
param_scheduler = []
