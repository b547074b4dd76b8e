"""The contract that every attention module keeps, and building one from what a config says."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from typing import Any

import torch
from pydantic import ConfigDict, TypeAdapter, ValidationError
from torch import Tensor, nn
from typing_extensions import NotRequired, TypedDict

from ean_transfer.attention.numerics import mean
from ean_transfer.attention.passes import add_product, becomes_graph
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import first_problem
from ean_transfer.registry import ATTENTION, type_name

HIDDEN_DIVISOR = "hidden_divisor"
"""Option of modules with hidden channels: these are rounded to a multiple of it, see
:func:`hidden_channels`."""

State = Any
"""What a module passes to the next connected block of its stage; ``None`` at the first one."""


class Attention(nn.Module):
    """Base of the modules that recalibrate a residual branch: ``(N, C, H, W) -> (N, C, H, W)``.

    The first argument of a subclass is the channel count; all others have defaults and are the
    module's *options*, recorded in a ticket.

    Attributes:
        gain: A number that multiplies the output, kept with the weights; ``None`` unless
            :meth:`start_as_identity` has set it.
    """

    gain: Tensor | None

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("gain", None)  # without a value it is not in the state dict

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
        """Start as the multiplication of any branch by one constant, from which training departs.

        New attention that starts so leaves a network's output unchanged, once the constant is
        divided out of the branch's last affine layer. Only the values that this needs are set;
        the others stay as they are, and every value that is set still gets a gradient.

        Returns:
            The constant, in (0, 1].

        Raises:
            ConfigError: No values of the module's parameters do this.
        """
        raise ConfigError(
            f"{type(self).__name__} cannot start as a constant: no values of its parameters make "
            "its output a multiple of its input"
        )

    def start_as_identity(self) -> None:
        """Start as the identity, from which training departs: a constant, times a gain of 1/c.

        Raises:
            ConfigError: The module cannot start as a constant.
        """
        constant = self.init_constant()
        like = next(self.parameters(), torch.ones(()))
        self.gain = torch.tensor(1.0 / constant, dtype=like.dtype, device=like.device)

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *arguments: Any
    ) -> None:
        # The gain belongs to the weights: those that were trained without one have none, whatever
        # this module started with. Weights of the plain network say nothing of it.
        if any(name.startswith(prefix) for name in state_dict):
            gain = state_dict.get(f"{prefix}gain")
            like: Any = next(self.parameters(), gain)
            self.gain = None if gain is None else torch.empty_like(gain, device=like.device)
        super()._load_from_state_dict(state_dict, prefix, *arguments)


def adds_shortcut(attention: Attention) -> bool:
    """Whether a block may now leave the addition of its shortcut to its attention.

    In inference the modules here take a third argument, ``shortcut``, and return its sum with the
    recalibrated branch, written to the memory of the branch: one pass over the maps instead of two,
    and no new map.
    """
    return (
        not torch.is_grad_enabled()
        and not becomes_graph()  # compilers fuse by themselves, vmap knows no ``out=``
        and _takes_shortcut(type(attention).forward)
        and not attention._forward_hooks  # they are to see the recalibrated branch
        and (attention.gain is None or applies_gain(attention))
    )


@cache
def _takes_shortcut(forward: Callable[..., Any]) -> bool:
    return "shortcut" in inspect.signature(forward).parameters


def recalibrate(attention: Attention, x: Tensor, state: State) -> tuple[Tensor, State]:
    """Call an attention, with its gain, and check that it keeps the contract.

    Raises:
        ConfigError: It does not return the branch and the next state.
    """
    result = attention(x, state)
    # A module that forgets the state returns a tensor, which for a batch of two images would be
    # unpacked without a word, one image as the branch and one as the state.
    if not (isinstance(result, tuple) and len(result) == 2):
        raise ConfigError(
            f"{type(attention).__name__}.forward: expected the recalibrated branch and the next "
            f"state, found {type(result).__name__}"
        )
    branch, state = result
    if attention.gain is not None and not applies_gain(attention):
        branch = branch * attention.gain
    return branch, state


def applies_gain(attention: Attention) -> bool:
    """Whether a module's own forward multiplies with its gain, and not :func:`recalibrate`."""
    # On (N, C) weights the gain costs nothing, on a map as much as the attention's own product.
    return type(attention).forward is ChannelAttention.forward


class ChannelAttention(Attention):
    """Base of modules with one weight per channel from pooled input: ``y = x * weights(pool(x))``.

    The two halves are separate because attention-alike re-parameterisation replaces the pooled
    input by a learned vector and keeps the rest. A subclass defines ``logits`` if its weights are
    the sigmoid of something, and ``weights`` otherwise.
    """

    def pool(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to what the weights are computed from, by default the mean (N, C)."""
        return mean(x, 2, 3)

    def pool_constant(self, values: Tensor) -> Tensor:
        """What :meth:`pool` gives for maps of one value per channel, from those values (N, C)."""
        return values

    def logits(self, pooled: Tensor) -> Tensor:
        """The weights before their sigmoid, of shape (N, C), from pooled input."""
        raise NotImplementedError

    def weights(self, pooled: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Weights in (0, 1), of shape (N, C), from pooled input; and the next state."""
        return torch.sigmoid(self.logits(pooled)), state

    def forward(
        self, x: Tensor, state: State = None, shortcut: Tensor | None = None
    ) -> tuple[Tensor, State]:
        weights, state = self.weights(self.pool(x), state)
        if self.gain is not None and applies_gain(self):  # and not a subclass that calls this
            weights = weights * self.gain
        # Under autocast the weights may be float32 while the branch has fewer bits.
        gate = weights.unsqueeze(2).unsqueeze(3).to(x.dtype)
        return x * gate if shortcut is None else add_product(shortcut, x, gate), state


AttentionSpec = str | type[Attention] | dict[str, Any]
"""``"SE"``, the class, or ``dict(type="SE", reduction=8)``."""


def attention_options(spec: AttentionSpec) -> tuple[str, dict[str, Any]]:
    """The name and *all* options, defaults filled in, of the attention that a config describes.

    Raises:
        ConfigError: The attention is unknown, or an option is unknown or of another type than its
            default.
    """
    name, module, chosen = _parts(spec)
    parameters = list(inspect.signature(module).parameters.values())[1:]  # without channels
    typed_dict: Any = TypedDict  # type checkers know it only with literal fields
    schema = typed_dict(name, {p.name: _option_type(p.default) for p in parameters})
    schema.__pydantic_config__ = ConfigDict(extra="forbid", strict=True)
    try:
        chosen = TypeAdapter(schema).validate_python(chosen)
    except ValidationError as error:
        names = ", ".join(p.name for p in parameters) or "none"
        problem = f"{first_problem(error)}; its options are {names}"
        raise ConfigError(f"attention {name}: {problem}") from None
    options = {p.name: chosen.get(p.name, p.default) for p in parameters}
    if options.get(HIDDEN_DIVISOR, 0) is None:  # came later: tickets without it keep their ids
        del options[HIDDEN_DIVISOR]
    return name, options


def with_hidden_divisor(spec: AttentionSpec, divisor: Any) -> AttentionSpec:
    """The attention with its hidden channels rounded, unless it has none or says how itself.

    Raises:
        ConfigError: The attention is unknown.
    """
    _, module, options = _parts(spec)
    if HIDDEN_DIVISOR not in inspect.signature(module).parameters:
        return spec
    return {"type": module, HIDDEN_DIVISOR: divisor, **options}


def _parts(spec: AttentionSpec) -> tuple[str, type[Attention], dict[str, Any]]:
    """The name, the class, and the options that an attention's config says."""
    options: dict[str, Any] = dict(spec) if isinstance(spec, dict) else {"type": spec}
    kind = options.pop("type", None)
    name = type_name(kind)
    module = ATTENTION.get(name) if isinstance(kind, str) else kind
    if not (inspect.isclass(module) and issubclass(module, Attention)):
        known = ", ".join(sorted(ATTENTION.module_dict))
        raise ConfigError(f"unknown attention {name or kind!r}: expected one of {known}")
    return name, module, options


def _option_type(default: Any) -> Any:
    """The type of an option, which is that of its default and not its annotation.

    Tickets record the options: the annotation of ECA's ``gamma: float = 2`` would turn 2 into 2.0,
    and change the ids of all its tickets.
    """
    if default is inspect.Parameter.empty:
        return Any
    return NotRequired[type(default) if isinstance(default, (bool, int, float, str)) else Any]


def build_attention(spec: AttentionSpec, channels: int) -> Attention:
    """Build an attention module for branches of ``channels`` channels.

    Raises:
        ConfigError: The attention or an option is unknown, or an option does not fit the channels.
    """
    name, options = attention_options(spec)
    kind = spec["type"] if isinstance(spec, dict) else spec
    module: Any = ATTENTION.get(name) if isinstance(kind, str) else kind
    return module(channels, **options)


def require_divisible(
    module: str, channels: int, option: str, divisor: int, hint: str = ""
) -> None:
    """Refuse an option that does not divide the channels.

    Raises:
        ConfigError: ``divisor`` does not divide ``channels``; names both.
    """
    if channels % divisor:
        raise ConfigError(
            f"{module}: {option}={divisor} does not divide the {channels} channels it is applied "
            f"to{hint}"
        )


def hidden_channels(module: str, channels: int, reduction: int, divisor: int | None) -> int:
    """Number of hidden channels, C/r.

    Args:
        module: Name of the attention, for the message.
        channels: C.
        reduction: r.
        divisor: ``None``: r must divide C. A number: C/r is rounded to a multiple of it, at least
            one, and never down by more than a tenth (timm's ``make_divisible``).

    Raises:
        ConfigError: r does not divide C, and there is no divisor; names both.
    """
    if divisor is None:
        hint = f": another one, or {HIDDEN_DIVISOR}=8 for rounded hidden channels"
        require_divisible(module, channels, "reduction", reduction, hint)
        return channels // reduction
    ideal = channels / reduction
    rounded = max(divisor, int(ideal + divisor / 2) // divisor * divisor)
    return rounded if rounded >= 0.9 * ideal else rounded + divisor
