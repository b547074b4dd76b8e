"""The papers' search: a policy gradient, 300 steps of 3 masks, reward = accuracy + 2 sparsity.

Differs from the authors' code in scoring each mask with BatchNorm statistics of its own;
``--cfg-options search.bn=running`` scores with the supernet's, as they do.
"""

from ean_transfer.search import ReinforceStrategy

search = dict(
    strategy=dict(type=ReinforceStrategy),
    steps=300,
    masks_per_step=3,
    reward=dict(
        quality="accuracy",
        cost="sparsity",
        weight=2.0,  # percentage points of accuracy that a mask without attention is worth
    ),
    bn="batch",
)
