"""The supernet of fpn_lite0_se_camvid: 305 training frames, 62 held out.

python tools/train.py configs/segmentation/fpn_lite0_se_camvid_supernet.py
"""

from mmengine.config import read_base

with read_base():
    from .fpn_lite0_se_camvid import *
    from .._base_.supernet_segmentation import *

from ean_transfer.engine.hooks import ChannelsLastHook, RandomMaskHook

model["backbone"].update(ticket="full")
# Every sixth frame of the training videos is held out; the validation part is left for the result.
frames = 367
train_dataloader["dataset"].update(indices=[i for i in range(frames) if i % 6])
val_dataloader = dict(
    val_dataloader,
    batch_size=8,
    dataset=dict(
        val_dataloader["dataset"], split="train", indices=[i for i in range(frames) if i % 6 == 0]
    ),
)
custom_hooks = [dict(type=ChannelsLastHook), dict(type=RandomMaskHook)]
