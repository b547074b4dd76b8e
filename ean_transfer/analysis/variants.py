"""A network under several masks at the same time, each a copy that shares the network's weights.

Copies can be timed in turn, and each can be compiled: a mask cannot be set on compiled code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import torch
from torch import nn

from ean_transfer.attachment.network import find_backbone, unwrapped
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import Mask

Forward = Callable[..., Any]
"""What is called like a network."""


def shared_copy(model: nn.Module) -> Any:
    """A copy of a model in eval mode, whose parameters and buffers are the model's own."""
    model = unwrapped(model)
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors}).eval()


def under_masks(
    model: nn.Module, masks: Iterable[Mask], inputs: tuple[Any, ...], *, compiled: bool = False
) -> dict[Mask, Forward]:
    """Copies of a model that share its weights: mask -> the model under that mask.

    Args:
        model: A model with a maskable network in it; left as it was.
        masks: One truth value per block, all stages in order.
        inputs: Arguments that the model is called with.
        compiled: Whether to compile each copy, which takes seconds to minutes.

    Raises:
        ConfigError: The model has no maskable network or lacks a connection of a mask, or torch
            cannot compile it.
        TicketError: A mask has not one value per block.
    """
    forwards: dict[Mask, Forward] = {}
    for mask in masks:
        variant = shared_copy(model)
        find_backbone(variant).set_mask(mask)
        forwards[mask] = compiled_alone(variant, inputs) if compiled else variant
    return forwards


def compiled_alone(model: nn.Module, inputs: tuple[Any, ...]) -> Forward:
    """Compile a model by ``torch.compile``, whatever was compiled of its class before.

    torch keeps compiled code with the function that it was compiled from, which all models of a
    class share, and by default it does not look at the hooks of the layers inside: a model with
    attention attached would silently run the code of one without.

    Args:
        model: The model; it runs once.
        inputs: Arguments to compile it for.

    Raises:
        ConfigError: torch cannot compile it here, e.g. for want of a C++ compiler.
    """

    def run(*inputs: Any) -> Any:
        return model(*inputs)

    own_code = run.__code__.replace()  # an equal function, with compiled code of its own
    function = FunctionType(own_code, run.__globals__, "run", None, run.__closure__)
    # Without dynamic=False a second size of images would be compiled for all sizes, and be slower.
    compiled = torch.compile(function, dynamic=False)
    # A model that cannot become one graph has other compiled functions, which are shared again.
    look_at_hooks = {"skip_nnmodule_hook_guards": False, "recompile_limit": 1000}
    try:
        with torch._dynamo.config.patch(look_at_hooks):
            compiled(*inputs)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = str(error).strip().partition("\n")[0]
        raise ConfigError(f"torch cannot compile {type(model).__name__}: {reason}") from error
    return compiled
