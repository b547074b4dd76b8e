"""The contract of every attention module, and how a config's words become one."""

from __future__ import annotations

import inspect
import math
from typing import Any

import torch
from torch import Tensor, nn

from ean_transfer.errors import ConfigError
from ean_transfer.registry import ATTENTION

State = Any
"""What a module hands to the next connected block of its stage; ``None`` at the first."""


class Attention(nn.Module):
    """A module that recalibrates a residual branch: ``(N, C, H, W) -> (N, C, H, W)``.

    The first argument of a subclass is the channel count; all others have defaults and are the
    module's *options*, recorded in a ticket.
    """

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Recalibrate one branch.

        Args:
            x: (N, C, H, W), the branch after its last BatchNorm.
            state: What the stage's previous connected block returned, ``None`` at the first one.

        Returns:
            The recalibrated branch, of x's shape, and the state for the stage's next connected
            block. Stateless modules pass the state through.
        """
        raise NotImplementedError

    def init_constant(self) -> float:
        """Set initial values with which any branch is multiplied by one constant, which training
        then leaves.

        A network's output is unchanged by new attention that starts so, once the constant is
        taken out of the branch's last affine layer. The values that do not matter for it keep
        their usual initial ones, and every parameter that is set still gets a gradient.

        Returns:
            The constant, in (0, 1].

        Raises:
            ConfigError: If no values of the module's parameters do this.
        """
        raise ConfigError(
            f"{type(self).__name__} cannot start as a constant: no values of its parameters make "
            "its output a multiple of its input"
        )


def recalibrate(attention: Attention, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Call an attention, and see that it keeps the contract.

    Raises:
        ConfigError: If it does not return the branch and the next state.
    """
    found = attention(x, state)
    if not (isinstance(found, tuple) and len(found) == 2):
        raise ConfigError(
            f"{type(attention).__name__}.forward: expected the recalibrated branch and the next "
            f"state, found {type(found).__name__}"
        )
    return found


class ChannelAttention(Attention):
    """One weight a channel, computed from pooled input: ``y = x * weights(pool(x))``.

    The two halves are separate because attention-alike re-parameterisation replaces the pooled
    input by a learned vector and keeps the rest. A subclass defines ``logits``, if its weights are
    their sigmoid, or else ``weights``.
    """

    def pool(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to what the weights are computed from; the global average (N, C) here."""
        return x.mean(dim=(2, 3))

    def pool_constant(self, values: Tensor) -> Tensor:
        """What :meth:`pool` gives for maps that are constant in space, from their values (N, C)."""
        return values

    def logits(self, pooled: Tensor) -> Tensor:
        """What the weights are the sigmoid of, of shape (N, C), from pooled input."""
        raise NotImplementedError

    def weights(self, pooled: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Weights in (0, 1), of shape (N, C), from pooled input; and the next state."""
        return torch.sigmoid(self.logits(pooled)), state

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        weights, state = self.weights(self.pool(x), state)
        # Under autocast the weights can come out in float32, for a branch of fewer bits.
        return x * weights[:, :, None, None].to(x.dtype), state


AttentionSpec = str | type[Attention] | dict[str, Any]
"""``"SE"``, the class, or ``dict(type="SE", reduction=8)``."""


def attention_options(spec: AttentionSpec) -> tuple[str, dict[str, Any]]:
    """The registered name and *all* options, defaults filled in, that a config's words stand for.

    Raises:
        ConfigError: For an unknown attention or an option it does not have.
    """
    given: dict[str, Any] = dict(spec) if isinstance(spec, dict) else {"type": spec}
    kind = given.pop("type", None)
    # A config that was dumped has a class as text, with its module.
    name = (
        kind.rpartition(".")[2] if isinstance(kind, str) else getattr(kind, "__name__", repr(kind))
    )
    module = ATTENTION.get(name) if isinstance(kind, str) else kind
    if not (inspect.isclass(module) and issubclass(module, Attention)):
        known = ", ".join(sorted(ATTENTION.module_dict))
        raise ConfigError(f"unknown attention {name!r}: expected one of {known}")
    parameters = list(inspect.signature(module).parameters.values())[1:]  # without channels
    if bare := [p.name for p in parameters if p.default is p.empty]:
        raise ConfigError(
            f"attention {name}: its option {bare[0]} has no default; all arguments after the "
            "channels need one, as tickets record them"
        )
    defaults = {p.name: p.default for p in parameters}
    if unknown := set(given) - set(defaults):
        raise ConfigError(
            f"attention {name} has no option {', '.join(sorted(unknown))}: "
            f"its options are {', '.join(defaults) or 'none'}"
        )
    for option, value in given.items():
        expected = type(defaults[option])
        if expected is float and type(value) is int:
            given[option] = float(value)
        elif expected in (bool, int, float, str) and type(value) is not expected:
            raise ConfigError(
                f"attention {name}: expected its option {option} as {expected.__name__}, e.g. "
                f"{defaults[option]!r}, found {value!r}"
            )
    return name, defaults | given


def build_attention(spec: AttentionSpec, channels: int) -> Attention:
    """Build an attention module for branches of ``channels`` channels.

    Raises:
        ConfigError: For an unknown attention or option, or if the options do not fit the channels.
    """
    name, options = attention_options(spec)
    kind = spec["type"] if isinstance(spec, dict) else spec
    module: Any = ATTENTION.get(name) if isinstance(kind, str) else kind
    return module(channels, **options)


def require_divisible(module: str, channels: int, option: str, divisor: int) -> None:
    """Refuse options that do not divide the channels, naming both numbers.

    Raises:
        ConfigError: If ``divisor`` is not a positive divisor of ``channels``.
    """
    if not isinstance(divisor, int) or divisor < 1 or channels % divisor:
        raise ConfigError(
            f"{module}: {option}={divisor!r} does not divide the {channels} channels it is "
            "applied to"
        )


def require_several_values(module: str, bn: nn.Module, x: Tensor) -> None:
    """Refuse to train a BatchNorm on one value a channel, whose variance does not exist.

    Args:
        module: The attention's name.
        bn: What normalises x. Only a BatchNorm in training mode that sees no other process asks
            for several values.
        x: (N, C, ...).

    Raises:
        ConfigError: If x holds one value a channel and is to be trained on.
    """
    alone = bn.training and not isinstance(bn, nn.SyncBatchNorm)
    if alone and x.numel() == x.shape[1]:
        raise ConfigError(
            f"{module}: its BatchNorm cannot train on one value a channel, found a batch of shape "
            f"{tuple(x.shape)}: use a larger batch, or drop a last batch of one image"
        )


def bessel_correction(x: Tensor) -> float:
    """HW / (HW - 1), by which the biased variance over the last two axes becomes the unbiased one;
    1 for a single value, whose variance is then 0 and not NaN.

    Without a branch on the size, so that networks can be exported with a dynamic image size.
    """
    positions = x.shape[-2] * x.shape[-1]
    return positions / max(positions - 1, 1)


def spatial_std(x: Tensor) -> Tensor:
    """Unbiased standard deviation over the last two axes; 0 (and not NaN) for a single value.

    Args:
        x: (..., H, W).

    Returns:
        (..., 1, 1). Its gradient is finite also where x is constant.
    """
    # The root is taken of a tensor: exporters know no root of a symbolic size.
    correction = x.new_full((), bessel_correction(x)).sqrt()
    return x.std(dim=(-2, -1), correction=0, keepdim=True) * correction


def zero_parameters(*modules: nn.Module) -> None:
    """Set all parameters of the modules to zero."""
    for module in modules:
        for parameter in module.parameters():
            nn.init.zeros_(parameter)


def sigmoid(logit: float) -> float:
    """1 / (1 + exp(-logit))."""
    return 1 / (1 + math.exp(-logit))
