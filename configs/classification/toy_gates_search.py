"""Search a ticket on the toy world by learned gates: the supernet trains them, no mask is drawn.

python tools/search.py configs/classification/toy_gates_search.py
"""

from mmengine.config import read_base

with read_base():
    from .toy_supernet import *

from ean_transfer.search import GatesStrategy
from ean_transfer.supernet import GateHook

custom_hooks = [dict(type=GateHook)]
search = dict(
    strategy=dict(type=GatesStrategy),
    steps=10,
    masks_per_step=3,
    reward=dict(quality="accuracy", cost="sparsity", weight=0.5),
    bn="batch",
)
