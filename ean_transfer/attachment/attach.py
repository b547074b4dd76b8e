"""``attach`` and ``detach``: attention on the residual blocks of networks of any make.

The networks of torchvision (ResNet, Wide ResNet, ResNeXt, RegNet, MobileNetV2 and V3, EfficientNet
V1 and V2, ConvNeXt) and timm's ResNets keep their own forward and the keys of their state dicts:
forward hooks on the ends of the residual branches do the work.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ean_transfer.attachment.compiled import require_hooks_to_run
from ean_transfer.attachment.draws import drawing_apart, stage_seed
from ean_transfer.attachment.families import (
    ResidualBlock,
    backbone_name,
    blocks_of,
    stages_of,
)
from ean_transfer.attachment.network import MaskableNetwork, is_wrapper
from ean_transfer.attachment.resolve import TicketSpec, resolve_ticket
from ean_transfer.attention import Attention, AttentionSpec, build_attention
from ean_transfer.attention.base import State, recalibrate
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.mask import mask_of

_Model = TypeVar("_Model", bound=nn.Module)


class _States:
    """Attention state passed between the connected blocks of one stage, one slot per block.

    A block reads its own slot and writes the next one; the first slot is always empty. So a forward
    reads nothing of an earlier one, complete or not. Slots are kept until the next forward, because
    activation checkpointing recomputes a block, which then reads its slot again. Copies and pickles
    start empty.
    """

    def __init__(self, length: int) -> None:
        self.slots: list[State] = [None] * length

    def __getstate__(self) -> dict[str, Any]:
        return {"slots": [None] * len(self.slots)}


class _Recalibration:
    """Forward hook on the end of a branch.

    An object and not a closure: a copied model must get a hook with the copied modules.
    """

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
    """A model's attention modules: ``stage1`` ..., or ``stage1.0`` ... with one per block.

    Hooks call the modules. The container itself is the identity, because a model that is an
    ``nn.Sequential`` calls it like its other children. Its state dict carries the ticket's id, and
    weights of another ticket are refused.

    Args:
        ticket: The ticket of the network.
    """

    def __init__(self, ticket: Ticket) -> None:
        super().__init__()
        self.ticket = ticket
        self.hooks: list[tuple[ResidualBlock, _Recalibration]] = []
        self.handles: list[RemovableHandle] = []
        self.constants: dict[Attention, float] = {}  # that their branches were divided by

    def forward(self, x: Any) -> Any:
        return x

    def require_hooks(self, *_: Any) -> None:
        """Refuse to run without the hooks; called before each forward of the model.

        Raises:
            ConfigError: A layer with a hook was replaced, and its hook is gone with it.
        """
        for block, _hook in self.hooks:
            if not any(layer is block.end for layer in block.module.modules()):
                raise ConfigError(
                    f"block {block.name} has lost its attention, as the layer it was attached to "
                    "was replaced: convert or fuse the model's layers first, then attach()"
                )

    def start_as_identity(self) -> None:
        """Set values that multiply branches by constants, and divide the branches by these."""
        modules = dict.fromkeys(hook.attention for _, hook in self.hooks)
        self.constants = {module: module.init_constant() for module in modules}
        with torch.no_grad():
            for block, hook in self.hooks:
                for tensor in block.last_affine:
                    tensor.div_(self.constants[hook.attention])

    def remove(self) -> None:
        """Remove the hooks, and multiply the branches by the constants they were divided by."""
        for handle in self.handles:
            handle.remove()
        with torch.no_grad():
            for block, hook in self.hooks:
                for tensor in block.last_affine if hook.attention in self.constants else ():
                    tensor.mul_(self.constants[hook.attention])

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list(bytes.fromhex(self.ticket.id)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        loaded_id = bytes(state.tolist()).hex()
        if loaded_id != self.ticket.id:
            raise TicketError(
                f"the weights are of a network with ticket id {loaded_id}, this one has ticket "
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
    last BatchNorm, in a ConvNeXt before the layer scale, and always before stochastic depth.

    The modules appear as ``model.attention`` (keys ``attention.stage1...``), on the block's device
    and with its dtype. The resolved ticket is ``model.ticket``. The network's other keys and
    weights stay, so plain weights load with ``strict=False``; with ``init="identity"`` load them
    before. Initial values are drawn apart from the global generator, whose seed they follow.

    Attach to the model that is trained: before it is wrapped or compiled, before its optimiser is
    made, and after layers are converted or fused. A model that is built from some of its children
    leaves the attention out. DIA's state starts anew with each forward and stage, so blocks must be
    called in order, and under activation checkpointing each forward's backward must come before the
    next forward.

    A ticket names its backbone: a published ResNet has torchvision's name (``"resnet50"``), so
    tickets of the toolkit's own backbone fit; others have a name of family and channels such as
    ``"convnext_96-192-384-768"``
    (see :func:`~ean_transfer.attachment.families.backbone_name`).

    Args:
        model: A network with blocks that :func:`blocks_of` finds.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, or a class; ``None`` only with ticket
            ``"none"``.
        sharing: ``"stage"``: one module per stage; ``"block"``: one per connected block.
        ticket: ``"none"`` (nothing is attached), ``"full"``, a Ticket, a ticket file's path, or
            ``"zoo:NAME"``; ``None`` means ``"full"``.
        init: ``"default"``: the module's own initial values; ``"identity"``: values that multiply
            a branch by a constant c (:meth:`~ean_transfer.attention.Attention.init_constant`), and
            the branch's last affine layer (ConvNeXt: its layer scale) divided by c, so that the
            network's output is unchanged at first.
        name: The backbone's name in tickets, instead of the derived one.

    Returns:
        The same model.

    Raises:
        ConfigError: The model has no known block, is wrapped or compiled, or has attention already;
            the attention, an option or ``init`` is unknown; or ``init="identity"`` is not possible
            for the attention, or for a branch that does not end in an affine layer.
        TicketError: The ticket does not fit the network, attention, options or sharing.
    """
    blocks = blocks_of(model)
    stages = stages_of(blocks)
    resolved = resolve_ticket(
        "full" if ticket is None else ticket,
        backbone=backbone_name(blocks) if name is None else name,
        blocks=[len(stage) for stage in stages],
        attention=attention,
        sharing=sharing,
    )
    connected = [block for block, bit in zip(blocks, resolved.mask, strict=True) if bit]
    for obstacle in _obstacles(model, blocks, connected, init):
        raise ConfigError(obstacle)
    require_hooks_to_run(model, [block.module for block in blocks], "attach()")

    # Everything that may fail comes before the model is touched.
    attached = AttachedAttention(resolved)
    hooks = attached.hooks
    for index, (stage, bits) in enumerate(zip(stages, resolved.stages, strict=True)):
        own = {i: stage[i] for i, bit in enumerate(mask_of(bits)) if bit}
        if attention is None or not own:
            continue
        seed = stage_seed(index)
        modules: dict[int, Attention]
        if sharing == "stage":
            shared = _build(attention, next(iter(own.values())), seed)
            attached[f"stage{index + 1}"] = shared
            modules = dict.fromkeys(own, shared)
        else:
            modules = {i: _build(attention, block, seed + i) for i, block in own.items()}
            attached[f"stage{index + 1}"] = nn.ModuleDict({str(i): modules[i] for i in modules})
        states = _States(len(own))
        for order, (i, block) in enumerate(own.items()):
            hooks.append((block, _Recalibration(modules[i], states, order)))
    if init == "identity":
        attached.start_as_identity()

    for block, hook in hooks:
        attached.handles.append(block.end.register_forward_hook(hook))
    if hooks:
        model.attention = attached.train(model.training)
        attached.handles.append(model.register_forward_pre_hook(attached.require_hooks))
    model.ticket = resolved  # type: ignore[assignment]  # no tensor, kept as a plain attribute
    return model


def detach(model: _Model) -> _Model:
    """Remove what :func:`attach` added.

    The network's own weights stay, except that ``init="identity"`` is undone: branches are
    multiplied by the constant that they were divided by.

    Raises:
        ConfigError: Nothing is attached, or the model is compiled.
    """
    # A backbone of the toolkit has a ticket too, but its attention is no addition.
    if isinstance(model, MaskableNetwork) or not hasattr(model, "ticket"):
        raise ConfigError(
            f"{type(model).__name__} has no attention attached: expected a model that attach() "
            "returned; a ticketed backbone is built without attention with ticket 'none'"
        )
    attached = getattr(model, "attention", None)
    if isinstance(attached, AttachedAttention):
        require_hooks_to_run(model, [block.module for block, _ in attached.hooks], "detach()")
        attached.remove()
        del model.attention
    del model.ticket
    return model


def _obstacles(
    model: nn.Module,
    blocks: Sequence[ResidualBlock],
    connected: Sequence[ResidualBlock],
    init: str,
) -> Iterator[str]:
    """Yield why attention cannot be attached, each reason as a message."""
    kind = type(model).__name__
    if init not in ("default", "identity"):
        yield f"init is 'default' or 'identity', found {init!r}"
    if is_wrapper(model):
        yield (
            f"{kind} wraps the model, and would not train what is attached later: attach() first, "
            "then wrap"
        )
    for attribute in ("attention", "ticket"):
        if hasattr(model, attribute):
            yield (
                f"{kind} already has an attribute {attribute!r}: if it comes from attach(), "
                "detach(model) first"
            )
    for block in blocks:  # attached to a part of the model, or to a model that contains it
        if any(isinstance(hook, _Recalibration) for hook in block.end._forward_hooks.values()):
            yield (
                f"{kind} already has attention on its block {block.name}: detach() it first from "
                "the model that was given to attach()"
            )
    for block in connected if init == "identity" else ():
        if not block.last_affine:
            yield (
                f"init='identity' needs an affine layer at the end of block {block.name}'s branch, "
                f"found {type(block.end).__name__} without one there: leave the block out of the "
                "ticket, or use init='default'"
            )


def _build(spec: AttentionSpec, block: ResidualBlock, seed: int) -> Attention:
    """Build a module for a block's branch, on the block's device and with its dtype."""
    with drawing_apart(seed):
        module = build_attention(spec, block.channels)
    return module.to(next(block.module.parameters()))
