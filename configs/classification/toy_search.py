"""Search an SE ticket on the toy world; under two minutes.

python tools/search.py configs/classification/toy_search.py
"""

from mmengine.config import read_base

with read_base():
    from .toy_supernet import *

from ean_transfer.search import ReinforceStrategy

search = dict(
    strategy=dict(type=ReinforceStrategy),
    steps=100,
    masks_per_step=3,
    reward=dict(quality="accuracy", cost="sparsity", weight=0.5),
    bn="batch",
    last_steps=10,
)
