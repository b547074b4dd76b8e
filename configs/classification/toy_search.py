"""Search an SE ticket on the toy world; about three minutes.

python tools/search.py configs/classification/toy_search.py
"""

from mmengine.config import read_base

with read_base():
    from .toy_supernet import *
    from .._base_.search import *

# Scores averaged over three supernets rank masks twice as well as one's
# (docs/results/what_ranks_masks.md).
search.update(steps=12, last_steps=4, supernets=3)
