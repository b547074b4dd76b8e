"""Where the toolkit's own parts are registered.

Backbones, models, data sets, transforms, hooks, loops and metrics go into mmengine's root
registries, so that every OpenMMLab package finds them. Only what mmengine has no room for has a
registry here.
"""

from mmengine.registry import Registry

ATTENTION = Registry("attention", scope="ean_transfer", locations=["ean_transfer.attention"])
STRATEGIES = Registry(
    "search strategy", scope="ean_transfer", locations=["ean_transfer.search.strategies"]
)
