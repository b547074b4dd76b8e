"""Makes a supernet of a training: a random mask in every iteration, masks scored to validate."""

from ean_transfer.engine.hooks import RandomMaskHook
from ean_transfer.supernet import SupernetValLoop

val_cfg = dict(type=SupernetValLoop)
val_evaluator = []
custom_hooks = [dict(type=RandomMaskHook)]
# Under a mask without a connection in a stage, that stage's attention gets no gradient.
find_unused_parameters = True
