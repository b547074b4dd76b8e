"""Where the toolkit's own parts are registered.

Backbones, models, data sets, transforms, hooks, loops and metrics go into mmengine's root
registries, so that every OpenMMLab package finds them. Only what mmengine has no room for has a
registry here.
"""

from typing import Any

from mmengine.registry import Registry

ATTENTION = Registry("attention", scope="ean_transfer", locations=["ean_transfer.attention"])
STRATEGIES = Registry(
    "search strategy", scope="ean_transfer", locations=["ean_transfer.search.strategies"]
)


def type_name(kind: Any) -> str:
    """The class name that a config's ``type`` stands for: a class, or text with or without module.

    A config that was dumped into a work dir has classes as text, with their module.
    """
    return kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", "")
