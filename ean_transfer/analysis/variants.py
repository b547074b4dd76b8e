"""A network under several masks at the same time, each a copy that shares the network's weights.

Copies can be timed in turn, and each can be compiled: a mask cannot be set on compiled code.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.network import find_backbone, unwrapped
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import Mask

Forward = Callable[..., Any]
"""What is called like a network."""


def shared_copy(model: nn.Module) -> Any:
    """A copy of a model in eval mode, whose parameters and buffers are the model's own."""
    model = unwrapped(model)
    # torch refuses to copy the results of a training step, such as a pruned layer's weight or an
    # output that the model keeps.
    attributes = (value for module in model.modules() for value in vars(module).values())
    results = (value for value in attributes if isinstance(value, Tensor) and not value.is_leaf)
    tensors = (*model.parameters(), *model.buffers(), *results)
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
        ConfigError: torch cannot compile it as one graph, or not here, e.g. for want of a C++
            compiler.
    """

    def run(*inputs: Any) -> Any:
        return model(*inputs)

    own_code = run.__code__.replace()  # an equal function, with compiled code of its own
    function = FunctionType(own_code, run.__globals__, "run", None, run.__closure__)
    # Without dynamic=False a second size of images would be compiled for all sizes, and be slower.
    # Where a model breaks into several graphs, their functions would be shared again.
    compiled = torch.compile(function, dynamic=False, fullgraph=True)
    try:
        compiled(*inputs)
    except torch._dynamo.exc.TorchDynamoException as error:
        reason = " ".join(str(error).split("\n")[:2])
        if "torchinductor" in reason:  # the name of torch's folder of compiled code
            reason += "; a run that was killed while it compiled leaves torn files: remove this one"
        raise ConfigError(
            f"torch cannot compile {type(model).__name__} as one graph: {reason}"
        ) from error
    return compiled
