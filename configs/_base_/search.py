"""The default search: a model of the reward chooses what to score, and the loss decides.

- The reward is minus the held-out loss in hundredths of a nat: it ranks masks better than accuracy,
  which counts the same differences in steps of one image.
- A mask without attention is worth half a hundredth of a nat: of masks that do equally well the
  sparser is found. The papers' reward, accuracy + 2 sparsity, drives towards none, since masks
  scored with statistics of their own differ by fractions of a point; it is in search_papers.py.

Other questions are other rewards, e.g. the fastest mask that does as well as full:
``search.reward = dict(minimize="latency", constraint="loss <= full")``.
"""

from ean_transfer.search import SurrogateStrategy

search = dict(
    strategy=dict(type=SurrogateStrategy),
    steps=100,
    masks_per_step=3,
    reward=dict(
        quality="loss",
        cost="sparsity",
        weight=0.5,  # hundredths of a nat that a mask without attention is worth
    ),
    bn="batch",
)
