"""Builds the networks of other libraries from names such as ``timm:resnet50``."""

from __future__ import annotations

import difflib
import inspect
from functools import partial
from importlib import import_module
from typing import Any

from torch import nn

from ean_transfer.errors import ConfigError

NAMES = "timm:NAME, torchvision:NAME or transformers:NAME"
"""What :func:`build_network` takes, for messages."""
_MODULES = {
    "timm": "timm",
    "torchvision": "torchvision.models",
    "transformers": "transformers",
}
"""Library -> the module that builds its networks."""


def is_library_network(name: str) -> bool:
    """Whether a network's name says a library that it comes from, as ``timm:resnet50`` does."""
    library, colon, _ = name.partition(":")
    return bool(colon) and library in _MODULES


def build_network(name: str, **kwargs: Any) -> nn.Module:
    """Build a network of another library; its weights are random unless the arguments ask.

    Args:
        name: ``"timm:NAME"``, ``"torchvision:NAME"``, or ``"transformers:NAME"`` with a model of
            Hugging Face's hub, or a folder that ``save_pretrained`` wrote: without a head, it
            returns its hidden states.
        **kwargs: What the library's own function takes, such as ``num_classes``, timm's
            ``features_only``, or torchvision's ``weights``; for transformers values of the config.

    Raises:
        ConfigError: The name has no such library before it, the library is not installed or has no
            such network, or the network refuses the arguments.
    """
    if not is_library_network(name):
        raise ConfigError(f"expected a network such as {NAMES}, found {name}")
    library = name.partition(":")[0]
    try:
        module = import_module(_MODULES[library])
    except ModuleNotFoundError as error:
        if error.name != library:
            raise
        raise ConfigError(f"{name} needs {library}: pip install {library}") from None
    builder = _builder(module, name)
    try:
        return builder(**kwargs)
    except (TypeError, ValueError, RuntimeError, OSError) as error:
        arguments = ", ".join(f"{key}={value!r}" for key, value in kwargs.items())
        given = f" with ({arguments})" if kwargs else ""
        reason = str(error).partition("\n")[0]
        raise ConfigError(f"{name} cannot be built{given}: {reason}") from None


def _builder(module: Any, name: str) -> Any:
    library, _, network = name.partition(":")
    if library == "transformers":
        return partial(_of_transformers, module, network)
    names = module.list_models()
    known = network.partition(".")[0] if library == "timm" else network  # .NAME means weights
    if known not in names:
        near = difflib.get_close_matches(network, names, n=3, cutoff=0.4)
        hint = f": did you mean {' or '.join(near)}?" if near else ""
        raise ConfigError(f"{name}: {library} has no network of that name{hint}")
    if library == "timm":
        return partial(module.create_model, network)
    builder = module.get_model_builder(network)
    # Detection and segmentation models would download weights of their backbone by default.
    if "weights_backbone" in inspect.signature(builder).parameters:
        return partial(builder, weights_backbone=None)
    return builder


def _of_transformers(module: Any, network: str, **kwargs: Any) -> nn.Module:
    config, unknown = module.AutoConfig.from_pretrained(
        network,
        return_unused_kwargs=True,
        trust_remote_code=False,
        output_hidden_states=True,
        **kwargs,
    )
    if unknown:
        raise TypeError(f"its config has no {', '.join(unknown)}")
    model = module.AutoModel.from_config(config)
    # ConvNeXt's norm of the pooled output: DistributedDataParallel wants a gradient for all layers.
    for name in ("layernorm", "layer_norm"):
        if hasattr(model, name):
            setattr(model, name, nn.Identity())
    return model
