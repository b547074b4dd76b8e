"""The toy world's SE supernet of counting, from scratch.

python tools/train.py configs/crowd_counting/toy_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .toy import *
    from .._base_.supernet_counting import *

model["backbone"].update(ticket="full")
custom_hooks[0].update(probability=0.8)  # as in classification/toy_supernet.py
# The loss needs target maps. This pipeline draws nothing at random.
val_dataloader["dataset"].update(pipeline=train_pipeline)
