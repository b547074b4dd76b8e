"""FCN on a ticketed ResNet-50 (SGE), output stride 8, CamVid, rare classes weighted.

python tools/train.py configs/segmentation/fcn_resnet50_d8_sge_camvid_weighted.py \
    --ticket zoo:ean-sge-resnet50 \
    --weights work_dirs/classification/resnet50_sge_imagenet/epoch_120.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.camvid import *
    from .._base_.models.fcn_resnet50_d8 import *
    from .._base_.schedules.iterations import *

model["data_preprocessor"].update(data_preprocessor)
model["backbone"].update(attention=dict(type="SGE", groups=64), sharing="stage")
model["decode_head"].update(num_classes=num_classes)
model["auxiliary_head"].update(num_classes=num_classes)

# Median frequency balancing (Eigen and Fergus, arXiv 1411.4734): the median of all classes' shares
# of the pixels in the training images that show them, over a class's own share.
class_weight = [
    0.28,  # Sky
    0.20,  # Building
    4.79,  # Pole
    0.15,  # Road
    1.00,  # Pavement
    0.42,  # Tree
    3.85,  # SignSymbol
    1.97,  # Fence
    0.79,  # Car
    6.37,  # Pedestrian
    8.86,  # Bicyclist
]
# With weights the mean is over labelled pixels as it is, and mmseg fails if asked for it.
model["decode_head"]["loss_decode"].update(class_weight=class_weight, avg_non_ignore=False)
model["auxiliary_head"]["loss_decode"].update(class_weight=class_weight, avg_non_ignore=False)
