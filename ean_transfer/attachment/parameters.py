"""Parameter groups for an optimiser: new attention learns faster than a pretrained network."""

from __future__ import annotations

from typing import Any

from torch import nn

from ean_transfer.attention import Attention
from ean_transfer.attention.reparameterised import ASR
from ean_transfer.errors import ConfigError

ATTENTION_LR_FACTOR = 10.0
"""Learning rate of new attention over that of the pretrained network it was connected to."""


def attention_parameters(model: nn.Module) -> set[nn.Parameter]:
    """The parameters of all attention modules in a model."""
    modules = [module for module in model.modules() if isinstance(module, (Attention, ASR))]
    return {parameter for module in modules for parameter in module.parameters()}


def count_attention_parameters(model: nn.Module) -> int:
    """Number of parameters in all attention modules of a model."""
    return sum(parameter.numel() for parameter in attention_parameters(model))


def parameter_groups(
    model: nn.Module, lr: float, attention_lr: float | None = None
) -> list[dict[str, Any]]:
    """The parameters of a network with attention, in two groups for an optimiser.

    Attention connected to a pretrained network starts untrained, so it gets a learning rate of its
    own::

        torch.optim.AdamW(parameter_groups(model, lr=1e-3))

    Args:
        model: A network with attention modules.
        lr: Learning rate of all other parameters.
        attention_lr: Learning rate of the attention; ten times ``lr`` by default.

    Returns:
        Two groups, each with a ``name``: ``"network"`` and ``"attention"``. Frozen parameters are
        in neither.

    Raises:
        ConfigError: The network has no attention that can be trained.
    """
    own = attention_parameters(model)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    attention = [parameter for parameter in trained if parameter in own]
    if not attention:
        raise ConfigError(
            f"{type(model).__name__}: expected attention with parameters to train, found none: "
            "attach() before the optimiser is made"
        )
    if attention_lr is None:
        attention_lr = ATTENTION_LR_FACTOR * lr
    others = [parameter for parameter in trained if parameter not in own]
    return [
        {"params": others, "lr": lr, "name": "network"},
        {"params": attention, "lr": attention_lr, "name": "attention"},
    ]
