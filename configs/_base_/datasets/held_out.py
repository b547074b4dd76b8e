"""A training set in two parts: images held out for the search, and the rest for the supernet.

A config gives both parts ``per_class``, the number of held-out images per class, and ``dataset``,
the whole training set (with the test pipeline for the held-out part).
"""

from mmengine.dataset import DefaultSampler

from ean_transfer.classification import HeldOutSplit

rest_dataset = dict(type=HeldOutSplit, part="train")
held_out_dataset = dict(type=HeldOutSplit, part="held_out")
held_out_sampler = dict(type=DefaultSampler, shuffle=False, round_up=False)
