"""The default search (search.py) of a counter, by the error of the count."""

from mmengine.config import read_base

with read_base():
    from .search import *

from ean_transfer.crowd_counting import CountingScorer

search.update(scorer=dict(type=CountingScorer))
search["reward"].update(quality="mae", weight=0.02)  # objects
