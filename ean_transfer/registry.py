"""Registries of attention modules, search strategies and scorers, which mmengine has none for.

Backbones, models, data sets, transforms, hooks, loops and metrics go into mmengine's root
registries, so that every OpenMMLab package finds them.
"""

from typing import Any

from mmengine.registry import Registry

ATTENTION = Registry("attention", scope="ean_transfer", locations=["ean_transfer.attention"])
STRATEGIES = Registry(
    "search strategy", scope="ean_transfer", locations=["ean_transfer.search.strategies"]
)
# Those of the other tasks are named in configs by their classes.
SCORERS = Registry("scorer", scope="ean_transfer", locations=["ean_transfer.classification"])


def type_name(kind: Any) -> str:
    """The class name that a config's ``type`` stands for; empty if it stands for none.

    Args:
        kind: A class, or its name with or without the module. A config that was dumped into a work
            dir has classes as text, with their module.
    """
    return kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", "")


def inherits(kind: Any, name: str) -> bool:
    """Whether a class, or a base of it, has a name: asked so, no package has to be imported."""
    return any(base.__name__ == name for base in getattr(kind, "__mro__", ()))
