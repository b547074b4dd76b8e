"""The papers' search: a policy gradient, 300 steps of 3 masks, reward = accuracy + 2 sparsity.

Each mask is scored with its own BatchNorm statistics. The authors' code uses the supernet's running
statistics: ``--cfg-options search.bn=running``.
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
