"""The default search: a model of the reward chooses which masks to score, by their loss.

- The reward is minus the held-out loss in hundredths of a nat. The loss ranks masks better than
  accuracy, which shows the same differences only in steps of one image.
- A mask without attention is worth half a hundredth of a nat, so that the search finds the sparser
  of two masks that do equally well. The papers' reward, accuracy + 2 sparsity, is in
  search_papers.py; it favours none, since masks scored with their own statistics differ by
  fractions of a point.

Another reward asks another question, e.g. for the fastest mask that does as well as full:
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
