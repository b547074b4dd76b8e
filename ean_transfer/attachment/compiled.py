"""Whether torch.compile or TorchScript has fixed a model's code, so that later hooks do not run.

Once a compiled module was called, torch.compile by default does not look for new or removed hooks
again: attention attached then would be trained without ever being called.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterator, Sequence

import torch
from torch import nn

from ean_transfer.errors import ConfigError

_COMPILED = "_orig_mod"  # the name under which torch.compile's wrapper registers the model


def look_at_hooks() -> None:
    """Let torch.compile run code that it has compiled only where the layers have the same hooks.

    torch keeps compiled code with the function that it was compiled from, which all models of a
    class share, and by default does not compare hooks where there were none: a model with attention
    would run the code of one without.
    """
    from torch import _dynamo  # takes a second, but torchvision has loaded it

    if _dynamo.config.skip_nnmodule_hook_guards:
        _dynamo.config.skip_nnmodule_hook_guards = False
        _dynamo.reset()  # what was compiled before would still not look


def require_hooks_to_run(model: nn.Module, blocks: Sequence[nn.Module], change: str) -> None:
    """Refuse a model whose blocks would not notice a change of their hooks.

    Args:
        model: The model that is to be changed.
        blocks: Its residual blocks.
        change: What is done to it, e.g. ``"attach()"``.

    Raises:
        ConfigError: A block, or a module that runs one, is compiled; or a block is scripted.
    """
    own = set(blocks)
    # The blocks, and all modules that run them.
    runners = {name: m for name, m in model.named_modules() if not own.isdisjoint(m.modules())}
    for name in _compiled(runners):
        raise ConfigError(
            f"{change} expects a model before torch.compile, found {name or type(model).__name__} "
            f"compiled, where it would change nothing: {change} on the model itself first, then "
            "compile it"
        )
    for part in (part for block in blocks for part in block.modules()):
        if isinstance(part, torch.jit.ScriptModule):
            raise ConfigError(
                f"{change} expects blocks of Python modules, found {part.original_name} scripted "
                f"or traced, which takes no hooks: {change} on the model first, then trace it"
            )


def require_uncompiled(network: nn.Module, is_traced: bool, change: str) -> None:
    """Refuse a network whose compiled code would not notice a change of its hooks.

    Unlike :func:`require_hooks_to_run` it is quick enough for each step of a training.

    Args:
        network: The network that is to be changed.
        is_traced: Whether torch.compile has traced the network, which leaves no mark in it.
        change: What is done to it, e.g. ``"set_mask()"``.

    Raises:
        ConfigError: The network or a part of it is compiled.
    """
    parts = [name or type(network).__name__ for name in _marked(dict(network.named_modules()))]
    if is_traced or parts:
        raise ConfigError(
            f"{change} expects a network that is not compiled, found "
            f"{parts[0] if parts else type(network).__name__} compiled, where it would change "
            f"nothing: {change} on the model itself first, then compile a copy.deepcopy() of it"
        )


def _compiled(modules: dict[str, nn.Module]) -> Iterator[str]:
    """Yield the names of modules that torch.compile has compiled or wrapped."""
    yield from _marked(modules)
    if "torch._dynamo.eval_frame" in sys.modules:
        # compiled = torch.compile(module) leaves no trace in the module; the wrapper refers to it.
        holders = [r for r in gc.get_referrers(*modules.values()) if isinstance(r, dict)]
        wrapped = [holder[_COMPILED] for holder in holders if _COMPILED in holder]
        yield from (name for name, module in modules.items() if any(m is module for m in wrapped))


def _marked(modules: dict[str, nn.Module]) -> Iterator[str]:
    """Yield the names of modules that are compiled in place, or that hold a compiled one."""
    for name, module in modules.items():
        if _COMPILED in module._modules or getattr(module, "_compiled_call_impl", None) is not None:
            yield name
