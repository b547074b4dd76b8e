"""ShanghaiTech part A: data/shanghaitech/part_A/{train,test}_data/{images,ground-truth}.

300 training images, of which the last 30 validate; 182 test images.
"""

from mmengine.config import read_base

with read_base():
    from .shanghaitech_b import *

from ean_transfer.crowd_counting import AdaptiveSigmas

train_images, val_images = 270, 30
train_pipeline.insert(1, dict(type=AdaptiveSigmas))  # heads differ in size, from near to far crowds
train_pipeline[3].update(sigma="adaptive")
train_dataloader["dataset"].update(
    part="A", indices=list(range(train_images)), pipeline=train_pipeline
)
val_dataloader["dataset"].update(
    part="A", indices=list(range(train_images, train_images + val_images))
)
test_dataloader["dataset"].update(part="A")
