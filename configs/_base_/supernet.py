"""What turns a training into a supernet's: a random mask in every iteration, masks validated."""

from ean_transfer.engine.hooks import RandomMaskHook
from ean_transfer.supernet import SupernetValLoop

val_cfg = dict(type=SupernetValLoop)
val_evaluator = []
custom_hooks = [dict(type=RandomMaskHook)]
# A mask can leave a stage's attention without a gradient.
find_unused_parameters = True
