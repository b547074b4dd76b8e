"""CSRNet on ShanghaiTech part A: a reference from the literature, without a ticket.

python tools/train.py configs/crowd_counting/csrnet_shanghaitech_a.py --weights vgg16.pth
"""

from mmengine.config import read_base

with read_base():
    from .._base_.datasets.shanghaitech_a import *
    from .._base_.models.csrnet import *
    from .._base_.schedules.counting_epochs import *
