"""Attention for the residual blocks of CNNs that others built, with their pretrained weights.

The networks of torchvision (ResNet, Wide ResNet, ResNeXt, RegNet, MobileNetV2 and V3, EfficientNet
V1 and V2, ConvNeXt) and timm's ResNets keep their own forward and the keys of their state dicts:
forward hooks on the ends of the residual branches do the work.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from mmengine.model import is_model_wrapper
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ean_transfer.attachment.families import (
    ResidualBlock,
    backbone_name,
    blocks_of,
    stages_of,
)
from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attachment.resolve import TicketSpec, resolve_ticket
from ean_transfer.attention import Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State, recalibrate
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError

_Model = TypeVar("_Model", bound=nn.Module)


class _States:
    """What the connected blocks of one stage hand on: a slot a block, the first always empty.

    A slot is written by the block before in the same forward, so that nothing of an earlier forward
    is read, be it complete or not; and it is kept until the next, so that a block recomputed under
    activation checkpointing reads it again. Copies and pickles start empty.
    """

    def __init__(self, length: int) -> None:
        self.slots: list[State] = [None] * length

    def __getstate__(self) -> dict[str, Any]:
        return {"slots": [None] * len(self.slots)}


class _Recalibration:
    """Forward hook on the end of a branch; an object, as copies of a closure share its module."""

    def __init__(self, attention: Attention, states: _States, index: int) -> None:
        self.attention = attention
        self.states = states
        self.index = index

    def __call__(self, module: nn.Module, inputs: Any, branch: Tensor) -> Tensor:
        slots = self.states.slots
        recalibrated, state = recalibrate(self.attention, branch, slots[self.index])
        if self.index + 1 < len(slots):
            slots[self.index + 1] = state
        return recalibrated


class AttachedAttention(nn.ModuleDict):
    """A model's attention modules: ``stage1`` ..., ``stage1.0`` ... where blocks have own ones.

    Hooks call the modules. The whole is the identity, as a model that is an ``nn.Sequential`` of
    its children calls it like any other. Its state carries the ticket's id: weights of another
    ticket are refused.

    Args:
        ticket: The network's.
    """

    def __init__(self, ticket: Ticket) -> None:
        super().__init__()
        self.ticket = ticket
        self.hooks: list[tuple[ResidualBlock, _Recalibration]] = []
        self.handles: list[RemovableHandle] = []
        self.constants: dict[Attention, float] = {}  # by which branches were divided

    def forward(self, x: Any) -> Any:
        return x

    def require_hooks(self, *_: Any) -> None:
        """Called before each forward of the model: replaced layers take their hooks with them.

        Raises:
            ConfigError: If the layer that ended a connected branch is no longer the block's.
        """
        for block, _hook in self.hooks:
            if not any(layer is block.end for layer in block.module.modules()):
                raise ConfigError(
                    f"block {block.name} has lost its attention, as the layer it was attached to "
                    "was replaced: convert or fuse the model's layers first, then attach()"
                )

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list(bytes.fromhex(self.ticket.id)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        found = bytes(state.tolist()).hex()
        if found != self.ticket.id:
            raise TicketError(
                f"the weights are of a network with ticket id {found}, this one has ticket "
                f"{self.ticket} (id {self.ticket.id}): attach() with the ticket of the weights"
            )


def attach(
    model: _Model,
    attention: AttentionSpec | None,
    sharing: str = "stage",
    ticket: TicketSpec | None = None,
    init: str = "default",
    name: str | None = None,
) -> _Model:
    """Connect attention to residual blocks of a network, in place: ``y = shortcut + attention(f)``.

    The attention acts on the branch's output f before the addition: in a ResNet after the block's
    last BatchNorm, in a ConvNeXt before the layer scale, and before stochastic depth. The modules
    appear as ``model.attention`` (keys ``attention.stage1...``), on the block's device and dtype;
    the network's other keys and weights stay, so its weights load with ``strict=False``; with
    ``init="identity"`` they are to be loaded first. Attach to the model that is trained, before it
    is wrapped or its optimiser is made, and after layers are converted or fused: a model that takes
    only some of its children leaves the attention out. The resolved ticket is ``model.ticket``.
    Initial values are drawn apart from the global generator, whose seed they follow.

    DIA's state starts anew with each forward and stage; blocks are to be called in order, and under
    activation checkpointing one forward's backward is to come before the next forward.

    A ticket says for which backbone it is: for a published ResNet by torchvision's name
    (``"resnet50"``), so that a ticket found on the toolkit's own backbone fits; else by a name of
    family and channels such as ``"convnext_96-192-384-768"`` (see
    :func:`~ean_transfer.attachment.families.backbone_name`).

    Args:
        model: A network with blocks that :func:`blocks_of` finds.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, a class; ``None`` only with ticket
            ``"none"``.
        sharing: ``"stage"``: one module a stage; ``"block"``: one a connected block.
        ticket: ``"none"`` (nothing is attached), ``"full"``, a Ticket, a ticket file's path, or
            ``"zoo:NAME"``; ``None`` means ``"full"``.
        init: ``"default"``: the module's own initial values; ``"identity"``: values that multiply
            a branch by a constant c (:meth:`~ean_transfer.attention.Attention.init_constant`), and
            the branch's last affine layer divided by c (ConvNeXt: its layer scale), so that the
            network's output is unchanged at first.
        name: The backbone's name in tickets, instead of the derived one.

    Returns:
        The same model.

    Raises:
        ConfigError: If the model has no known block or has attention attached already; for an
            unknown attention, option, sharing or init; if ``init="identity"`` is not possible for
            the attention, or for a branch that does not end in an affine layer.
        TicketError: If the ticket does not fit the network, attention, options or sharing.
    """
    if init not in ("default", "identity"):
        raise ConfigError(f"init is 'default' or 'identity', found {init!r}")
    if is_model_wrapper(model):
        raise ConfigError(
            f"{type(model).__name__} wraps the model, and would not train what is attached later: "
            "attach() first, then wrap"
        )
    blocks = blocks_of(model)
    _require_unattached(model, blocks)
    stages = stages_of(blocks)
    resolved = resolve_ticket(
        "full" if ticket is None else ticket,
        backbone=backbone_name(blocks) if name is None else name,
        blocks=[len(stage) for stage in stages],
        attention=attention,
        sharing=sharing,
    )

    # All that may fail comes before the model is touched.
    attached = AttachedAttention(resolved)
    hooks = attached.hooks
    for index, (stage, bits) in enumerate(zip(stages, resolved.stages, strict=True)):
        connected = {i: block for i, block in enumerate(stage) if bits[i] == "1"}
        if attention is None or not connected:
            continue
        seed = (torch.initial_seed() + 1000 * (index + 1)) % 2**63
        modules: dict[int, Attention]
        if sharing == "stage":
            shared = _build(attention, next(iter(connected.values())), seed)
            attached[f"stage{index + 1}"] = shared
            modules = dict.fromkeys(connected, shared)
        else:
            modules = {i: _build(attention, block, seed + i) for i, block in connected.items()}
            attached[f"stage{index + 1}"] = nn.ModuleDict({str(i): modules[i] for i in modules})
        states = _States(len(connected))
        for order, (i, block) in enumerate(connected.items()):
            hooks.append((block, _Recalibration(modules[i], states, order)))
    if init == "identity":
        attached.constants = _start_as_identity(hooks)

    for block, hook in hooks:
        attached.handles.append(block.end.register_forward_hook(hook))
    if hooks:
        model.attention = attached.train(model.training)
        attached.handles.append(model.register_forward_pre_hook(attached.require_hooks))
    model.ticket = resolved  # type: ignore[assignment]  # no tensor, kept as a plain attribute
    return model


def detach(model: _Model) -> _Model:
    """Take away what :func:`attach` added.

    The network's own weights stay, except that ``init="identity"`` is taken back: branches are
    multiplied by the constant that they were divided by.

    Raises:
        ConfigError: If nothing is attached.
    """
    if isinstance(model, MaskableNetwork):
        raise ConfigError(
            f"{type(model).__name__} was built with its attention: build it with ticket 'none'"
        )
    if not hasattr(model, "ticket"):
        raise ConfigError(f"{type(model).__name__} has no attention attached, nor a ticket")
    attached = getattr(model, "attention", None)
    if isinstance(attached, AttachedAttention):
        for handle in attached.handles:
            handle.remove()
        with torch.no_grad():
            for block, hook in attached.hooks:
                for tensor in block.last_affine if hook.attention in attached.constants else ():
                    tensor.mul_(attached.constants[hook.attention])
        del model.attention
    del model.ticket
    return model


def _require_unattached(model: nn.Module, blocks: Sequence[ResidualBlock]) -> None:
    kind = type(model).__name__
    for attribute in ("attention", "ticket"):
        if hasattr(model, attribute):
            raise ConfigError(
                f"{kind} already has an attribute {attribute!r}: if it comes from attach(), "
                "detach(model) first"
            )
    for block in blocks:  # attached to a part of the model, or to what the model is a part of
        if any(isinstance(hook, _Recalibration) for hook in block.end._forward_hooks.values()):
            raise ConfigError(
                f"{kind} already has attention on its block {block.name}: detach() it first from "
                "the model that was given to attach()"
            )


def _build(spec: AttentionSpec, block: ResidualBlock, seed: int) -> Attention:
    """A module for the block's branch, with initial values of its own, as in TicketStage."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)
        module = build_attention(spec, block.channels)
    return module.to(next(block.module.parameters()))  # its device and dtype


def _start_as_identity(
    hooks: Sequence[tuple[ResidualBlock, _Recalibration]],
) -> dict[Attention, float]:
    """Divide each branch's last layer by its attention's constant; returns the constants."""
    constants: dict[Attention, float] = {}
    for block, hook in hooks:
        if not block.last_affine:
            raise ConfigError(
                f"init='identity' needs an affine layer at the end of block {block.name}'s branch, "
                f"found {type(block.end).__name__} without one there: leave the block out of the "
                "ticket, or use init='default'"
            )
        if hook.attention not in constants:
            constants[hook.attention] = hook.attention.init_constant()
    with torch.no_grad():
        for block, hook in hooks:
            for tensor in block.last_affine:
                tensor.div_(constants[hook.attention])
    return constants
