"""Computing a part of a network again in the backward pass, instead of keeping its results."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import nn
from torch.utils.checkpoint import checkpoint

from ean_transfer.attention.passes import becomes_graph


def recomputed(function: Callable[..., Any], modules: Sequence[nn.Module], *inputs: Any) -> Any:
    """Call a function whose intermediate results are computed again in the backward pass.

    Only its inputs are kept in memory. The outputs, the gradients and the modules' running
    statistics are those of a plain call, bit for bit.

    A graph (compiled, exported, traced) gets the plain call, as the compiler decides itself what to
    compute again, and so does a transform of torch.func.

    Args:
        function: Called with the inputs, now and in the backward pass.
        modules: The modules that it calls and that may have buffers.
        *inputs: Tensors, and nested tuples of tensors.

    Returns:
        What the function returns.
    """
    if becomes_graph() or not torch.is_grad_enabled():
        return function(*inputs)
    # The backward pass may run several times.
    return checkpoint(
        function,
        *inputs,
        use_reentrant=False,
        context_fn=lambda: (nullcontext(), PrivateBuffers(modules)),
    )


class PrivateBuffers:
    """Context manager that gives modules copies of their buffers, and at the end their own back.

    A BatchNorm that runs again would count its batch twice in the running statistics.
    """

    def __init__(self, modules: Sequence[nn.Module]) -> None:
        self.modules = modules

    def __enter__(self) -> None:
        self.own = [
            (part, dict(part._buffers))
            for module in self.modules
            for part in module.modules()
            if part._buffers
        ]
        for part, buffers in self.own:
            part._buffers.update(
                {name: None if b is None else b.clone() for name, b in buffers.items()}
            )

    def __exit__(self, *_: object) -> None:
        for part, buffers in self.own:
            part._buffers.update(buffers)
        self.own = []
