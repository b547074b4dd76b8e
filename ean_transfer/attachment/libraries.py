"""Builds the networks of other libraries from names such as ``timm:resnet50``."""

from __future__ import annotations

import difflib
import inspect
from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from ean_transfer.errors import ConfigError

_MODULES = {"timm": "timm", "torchvision": "torchvision.models"}
"""Library -> the module that lists and builds its networks."""


def is_library_network(name: str) -> bool:
    """Whether a network's name says a library that it comes from, as ``timm:resnet50`` does."""
    library, colon, _ = name.partition(":")
    return bool(colon) and library in _MODULES


def build_network(name: str, **kwargs: Any) -> nn.Module:
    """Build a network of timm or torchvision; its weights are random unless the arguments ask.

    Args:
        name: ``"timm:NAME"`` or ``"torchvision:NAME"``.
        **kwargs: What the library's own function takes, such as ``num_classes``, timm's
            ``features_only``, or torchvision's ``weights``.

    Raises:
        ConfigError: The name has no such library before it, the library is not installed or has no
            such network, or the network refuses the arguments.
    """
    library, _, network = name.partition(":")
    if not is_library_network(name):
        raise ConfigError(f"expected a network such as timm:NAME or torchvision:NAME, found {name}")
    try:
        module = import_module(_MODULES[library])
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ConfigError(f"{name} needs {library}: pip install {library}") from None
    names = module.list_models()
    if network.partition(".")[0] not in names:  # timm: what follows the point names weights
        near = difflib.get_close_matches(network, names, n=3, cutoff=0.4)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"{name}: {library} has no network of that name{hint}")
    try:
        return _builder(module, network)(**kwargs)
    except (TypeError, ValueError, RuntimeError) as error:
        arguments = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
        raise ConfigError(f"{name} cannot be built with ({arguments}): {error}") from None


def _builder(module: Any, network: str) -> Any:
    if module.__name__ == "timm":
        return partial(module.create_model, network)
    builder = module.get_model_builder(network)
    # Detection and segmentation models would download weights of their backbone by default.
    if "weights_backbone" in inspect.signature(builder).parameters:
        return partial(builder, weights_backbone=None)
    return builder
