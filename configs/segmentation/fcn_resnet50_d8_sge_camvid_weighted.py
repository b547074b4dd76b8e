"""FCN on a ticketed ResNet-50 (SGE), output stride 8, CamVid, with weights for rare classes.

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

# Median frequency balancing (Eigen and Fergus, arXiv 1411.4734). The frequency of a class is its
# share of the pixels in the training images that show it; its weight is the median frequency of all
# classes divided by its own.
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
# With class weights the mean is over labelled pixels in any case, and mmseg fails where it is asked
# for by avg_non_ignore.
model["decode_head"]["loss_decode"].update(class_weight=class_weight, avg_non_ignore=False)
model["auxiliary_head"]["loss_decode"].update(class_weight=class_weight, avg_non_ignore=False)
