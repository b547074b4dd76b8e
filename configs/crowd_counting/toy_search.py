"""Search an SE ticket on the toy world's counting itself; about a minute.

python tools/search.py configs/crowd_counting/toy_search.py
"""

from mmengine.config import read_base

with read_base():
    from .toy_supernet import *
    from .._base_.search_counting import *

search.update(steps=12, last_steps=4)
