"""Makes a supernet of a counter's training, see supernet.py."""

from mmengine.config import read_base

with read_base():
    from .supernet import *

from ean_transfer.crowd_counting import CountingScorer

val_cfg.update(scorer=dict(type=CountingScorer))
