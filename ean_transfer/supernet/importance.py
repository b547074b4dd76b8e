"""Taylor importance: what each connection does for the loss, from one backward pass at full.

A first guess before any mask is scored, see Molchanov et al. 2019, arXiv 1906.10771.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.attachment.network import (
    MaskableNetwork,
    evaluating,
    find_backbone,
    masked,
    unwrapped,
)
from ean_transfer.attention.base import applies_gain
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.sampling import require_supernet
from ean_transfer.supernet.scoring import LossScorer, Scorer
from ean_transfer.supernet.statistics import batch_statistics


def connection_importance(
    model: nn.Module,
    batches: Iterable[Any],
    loss: Callable[[Any, Any], Tensor] | Scorer,
    *,
    bn: str = "batch",
) -> list[float]:
    """By how much the loss would rise without each connection, to first order.

    Each connection gets a gate g = 1 between its branch x and its attention's output y, as in
    ``x + g (y - x)``. The importance is minus the derivative of the mean loss by the gate, with
    every connection in use. How connections depend on each other is not seen.

    Args:
        model: A model with every connection, left as it was: mode, mask and gradients.
        batches: Batches of inputs and targets, or what the scorer reads.
        loss: Function of outputs and targets to the mean loss, called image by image; or a task's
            scorer, whose losses are used.
        bn: ``"batch"``: each batch is normalised by its own statistics, as masks are when they are
            scored; ``"running"``: by the running ones.

    Returns:
        One number per block, in the unit of the loss; 0 for blocks that were not built or that the
        loss does not depend on. The surrogate strategy takes it as its ``prior``.

    Raises:
        ConfigError: The model is no supernet, there are no batches, or the loss cannot be
            differentiated.
    """
    scorer = loss if isinstance(loss, Scorer) else LossScorer(loss)
    prepared = (scorer.prepare(model, raw) for raw in batches)
    return importance_on(model, prepared, scorer, bn)


@torch.inference_mode(False)
def importance_on(model: nn.Module, batches: Iterable[Any], scorer: Scorer, bn: str) -> list[float]:
    """The same, from batches that the scorer has prepared."""
    model = unwrapped(model)
    network = find_backbone(model)
    require_supernet(network, "the importance of connections is that at full, but the")
    own_statistics = nullcontext() if bn == "running" else batch_statistics(model)
    total, images = torch.zeros(network.ticket.num_blocks, dtype=torch.float64), 0
    with (
        evaluating(model),
        masked(model, network.ticket),
        own_statistics,
        _gated(model, network) as gates,
        torch.enable_grad(),
    ):
        for batch in batches:
            losses = scorer.rows(model, batch)[1]
            if not losses.requires_grad:
                raise ConfigError(
                    "the importance of connections: expected a loss that can be differentiated, "
                    f"found that {type(scorer).__name__} gives one without a gradient"
                )
            slopes = torch.autograd.grad(losses.sum(), gates, materialize_grads=True)
            total[: len(gates)] -= torch.stack(slopes).cpu()
            images += len(losses)
    if images == 0:
        raise ConfigError("the importance of connections: expected at least one batch, found none")
    return (total / images).tolist()


@contextmanager
def _gated(model: nn.Module, network: MaskableNetwork) -> Iterator[list[Tensor]]:
    """Yield one gate per block, each 1, that forwards multiply the effect of its attention with."""
    like = next(model.parameters())
    dtype = torch.promote_types(like.dtype, torch.float32)
    gates = [
        torch.ones((), dtype=dtype, device=like.device, requires_grad=True) for _ in network.places
    ]
    running: list[Tensor] = []  # the gate of the place that runs: a stage may share one attention

    def enter(gate: Tensor, *_: Any) -> None:
        running[:] = [gate]

    def apply(attention: Any, args: Any, output: Any) -> Any:
        x, (y, state) = args[0], output
        if attention.gain is not None and not applies_gain(attention):
            x = x / attention.gain  # which is multiplied with afterwards
        return x + running[0].to(y.dtype) * (y - x), state

    handles = [
        place.register_forward_pre_hook(partial(enter, gate))
        for place, gate in zip(network.places, gates, strict=True)
    ]
    attentions: Iterable[Any] = dict.fromkeys(network.attentions)
    handles += [attention.register_forward_hook(apply) for attention in attentions]
    # Attention that is computed again in the backward pass would not know its place.
    recomputing: list[tuple[Any, str]] = [
        (module, name)
        for module in model.modules()
        for name in ("with_cp", "lean")
        if getattr(module, name, False)
    ]
    for module, name in recomputing:
        setattr(module, name, False)
    try:
        yield gates
    finally:
        for handle in handles:
            handle.remove()
        for module, name in recomputing:
            setattr(module, name, True)
