"""``init="identity"``: new attention that leaves a pretrained network's output as it is.

Each attention module starts with values that multiply any branch by a constant c
(:meth:`~ean_transfer.attention.Attention.init_constant`), and the last layer of its blocks'
branches is divided by c. The network must therefore know which weights are new: the division
follows the initialisation, and every loading of weights that lack the module's own.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import torch

from ean_transfer.attention import ASR, Attention

if TYPE_CHECKING:
    from ean_transfer.backbones.ticketed import TicketBackbone


def prepare(network: TicketBackbone) -> None:
    """Let the attention of a new network start as the identity, from now on at every loading.

    Raises:
        ConfigError: An attention cannot start as a constant, or a branch ends in a layer without
            weights.
    """
    for attention, blocks in _attended(network):
        attention.init_constant()  # refuses here what would otherwise fail while loading
        for block in blocks:
            block.last_affine()
    # torch's and mmengine's loaders both run this hook, before they load any layer.
    network.register_load_state_dict_pre_hook(_divide_loaded)


def divide_branches(network: TicketBackbone) -> None:
    """Divide the branches of a freshly initialised network."""
    with torch.no_grad():
        for attention, blocks in _attended(network):
            constant = attention.init_constant()
            for layer in (block.last_affine() for block in blocks):
                for parameter in (layer.weight, layer.bias):
                    if parameter is not None:
                        parameter.div_(constant)


def _divide_loaded(
    network: TicketBackbone, weights: dict[str, Any], prefix: str, *_: object
) -> None:
    """Divide the branches in weights that are about to be loaded, where their attention is new.

    Args:
        network: The network that loads them.
        weights: The loader's own copy of the state dict.
        prefix: Prefix of the network's names in it.
    """
    names = {module: f"{prefix}{name}" for name, module in network.named_modules()}
    for attention, blocks in _attended(network):
        if any(f"{names[attention]}.{name}" in weights for name in attention.state_dict()):
            continue  # trained together with these branches, so nothing is to be divided
        layers = [block.last_affine() for block in blocks]
        tensors = [f"{names[layer]}.{name}" for layer in layers for name in ("weight", "bias")]
        loaded = [name for name in tensors if name in weights]
        if loaded:
            constant = attention.init_constant()
            weights.update({name: weights[name] / constant for name in loaded})


def _attended(network: TicketBackbone) -> Iterator[tuple[Attention | ASR, list[Any]]]:
    """Yield each attention module with the blocks whose branches it recalibrates."""
    for stage in network.stages:
        yield from stage.attentions().items()
