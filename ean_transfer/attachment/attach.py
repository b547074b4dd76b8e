"""``attach`` and ``detach``: attention on networks of any make.

The networks keep their own forward and the keys of their state dicts: forward hooks do the work,
on the ends of residual branches (:mod:`~ean_transfer.attachment.families`) or on modules that are
named (:mod:`~ean_transfer.attachment.places`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

from torch import nn

from ean_transfer.attachment.attached import AttachedAttention
from ean_transfer.attachment.compiled import require_hooks_to_run
from ean_transfer.attachment.draws import drawing_apart, stage_seed
from ean_transfer.attachment.families import (
    ResidualBlock,
    backbone_name,
    blocks_of,
    stages_of,
)
from ean_transfer.attachment.hook import Recalibration
from ean_transfer.attachment.network import MaskableNetwork, is_wrapper
from ean_transfer.attachment.places import blocks_at
from ean_transfer.attachment.resolve import TicketSpec, places_in, resolve_ticket
from ean_transfer.attention import Attention, AttentionSpec, build_attention
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError

_Model = TypeVar("_Model", bound=nn.Module)


def attach(
    model: _Model,
    attention: AttentionSpec | None = None,
    sharing: str | None = None,
    ticket: TicketSpec | None = None,
    init: str = "default",
    name: str | None = None,
    at: str | Sequence[str] | None = None,
    example: Any = None,
    memory: str = "default",
) -> _Model:
    """Connect attention to residual blocks of a network, in place: ``y = shortcut + attention(f)``.

    The attention acts on the branch's output f before the addition: in a ResNet after the block's
    last BatchNorm, in a ConvNeXt before the layer scale, and always before stochastic depth. With
    ``at`` it acts on the outputs of the modules that are named there.

    The modules appear as ``model.attention`` (keys ``attention.stage1...``), on the block's device
    and with its dtype. The resolved ticket is ``model.ticket``. The network's other keys and
    weights stay, so plain weights load with ``strict=False``. Initial values are drawn apart from
    the global generator, whose seed they follow.

    Where the attention's reduction does not divide a block's channels, its hidden channels are
    rounded to a multiple of 8 in all blocks, and the ticket records it (``hidden_divisor``).

    Attach to the model that is trained: before it is wrapped or compiled, before its optimiser is
    made, and after layers are converted or fused. A model that is built from some of its children
    leaves the attention out. DIA's state starts anew with each forward and stage, so blocks must be
    called in order. Under activation checkpointing, which must not be the reentrant kind (it loses
    the gradient along the state), each forward's backward must come before the next forward.

    From the first call on, ``torch.compile`` looks at the hooks of all layers in this process
    (``torch._dynamo.config.skip_nnmodule_hook_guards = False``), or a model with attention would
    run the code that was compiled for one of its class without.

    In an ``nn.Sequential`` the attention becomes the first child, and positions move by one: attach
    to a part of it (``attach(net[0], ...)``), or name its children by their keys.

    A ticket names its backbone: a published ResNet has torchvision's name (``"resnet50"``), so
    tickets of the toolkit's own backbone fit; others have a name of family and channels such as
    ``"convnext_96-192-384-768"``
    (see :func:`~ean_transfer.attachment.families.backbone_name`).

    Args:
        model: A network with blocks that :func:`blocks_of` finds, or any with ``at``.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``, or a class; the ticket's own by
            default.
        sharing: ``"stage"``: one module per stage; ``"block"``: one per connected block; the
            ticket's own by default, and ``"stage"`` without a ticket.
        ticket: ``"none"`` (nothing is attached), ``"full"``, a Ticket, a ticket file's path, or
            ``"zoo:NAME"``; ``None`` means ``"full"``.
        init: ``"default"``: the module's own initial values; ``"identity"``: values and a gain with
            which the module leaves a branch unchanged at first
            (:meth:`~ean_transfer.attention.Attention.start_as_identity`), so that the network's
            output is unchanged under every mask.
        name: The backbone's name in tickets, instead of the derived one.
        at: Names or patterns of modules that return maps (N, C, H, W), such as
            ``["encoder.layer3.*", "neck.0"]``: they are the places, instead of residual blocks
            (see :func:`~ean_transfer.attachment.places.blocks_at`). By default those that the
            ticket names, if it was made at places that were named.
        example: What the model is called with, to find the channels at these places; ``None``:
            zeros (1, 3, 224, 224).
        memory: ``"default"``, or ``"lean"``: attention, and a normalisation right before it, are
            computed again in the backward pass, so that training keeps in memory about what it
            keeps without attention.

    Returns:
        The same model.

    Raises:
        ConfigError: The model has no known block, two blocks share their last layer, the model is
            wrapped or compiled, or has attention already; ``at`` does not name places; the
            attention, an option, ``init`` or ``memory`` is unknown; or ``init="identity"`` is not
            possible for the attention.
        TicketError: The ticket does not fit the network, attention, options or sharing.
    """
    ticket = "full" if ticket is None else ticket
    blocks = blocks_for(model, ticket, at, example)
    return attach_to(model, blocks, attention, sharing, ticket, init, name, memory)


def blocks_for(
    model: nn.Module,
    ticket: TicketSpec,
    at: str | Sequence[str] | None = None,
    example: Any = None,
) -> list[ResidualBlock]:
    """What a ticket's bits stand for in a network: places that are named, or residual blocks.

    Args:
        model: The network.
        ticket: The ticket, whose own places count if there is no ``at``.
        at, example: See :func:`attach`.

    Raises:
        ConfigError, TicketError: See :func:`attach`.
    """
    at = places_in(ticket) if at is None else at
    return blocks_of(model) if at == () else blocks_at(model, at, example)


def attach_to(
    model: _Model,
    blocks: Sequence[ResidualBlock],
    attention: AttentionSpec | None,
    sharing: str | None,
    ticket: TicketSpec,
    init: str = "default",
    name: str | None = None,
    memory: str = "default",
) -> _Model:
    """As :func:`attach`, to blocks that were listed before the model's last layers were removed.

    Args:
        model: A network, of which only layers after some block may be missing.
        blocks: Places of the whole network. A ticket has a bit for each of them; bits of those that
            the model lacks are not used.
        attention, sharing, ticket, init, name, memory: See :func:`attach`.

    Raises:
        ConfigError, TicketError: See :func:`attach`.
    """
    stages = stages_of(blocks)
    resolved, attention = resolve_ticket(
        ticket,
        backbone=backbone_name(blocks) if name is None else name,
        blocks=[len(stage) for stage in stages],
        attention=attention,
        sharing=sharing,
        channels=[block.channels for block in blocks],
        places=[block.name for block in blocks if block.is_named],
    )
    if resolved.to_fold:
        raise TicketError(
            f"ticket {resolved} has attention that is folded, which only the toolkit's own "
            "backbones hold: build TicketResNet and its like with it, or take ticket.folded()"
        )
    parts = set(model.modules())
    blocks = [block for block in blocks if block.module in parts]
    for obstacle in _obstacles(model, blocks, init, memory):
        raise ConfigError(obstacle)
    require_hooks_to_run(model, [block.module for block in blocks], "attach()")

    # Everything that may fail comes before the model is touched.
    modules = _build_all(attention, model, blocks, resolved)
    for module in set(modules.values()) if init == "identity" else ():
        module.start_as_identity()
    attached = AttachedAttention(resolved, model, blocks, modules)
    attached.init = init
    attached.lean = memory == "lean"
    if modules:
        _set_first_child(model, "attention", attached.train(model.training))
    else:  # without connections the model keeps its children and keys
        model.__dict__["attention"] = attached
    model.ticket = resolved  # type: ignore[assignment]  # no tensor, kept as a plain attribute
    attached.connect(resolved.mask)
    return model


def detach(model: _Model) -> _Model:
    """Remove what :func:`attach` added; the network's own weights stay.

    Raises:
        ConfigError: Nothing is attached, or the model is compiled.
    """
    # A backbone of the toolkit has a ticket too, but its attention is no addition.
    if isinstance(model, MaskableNetwork) or not hasattr(model, "ticket"):
        raise ConfigError(
            f"{type(model).__name__} has no attention attached: expected a model that attach() "
            "returned; a ticketed backbone is built without attention with ticket 'none'"
        )
    attached: Any = model.attention
    require_hooks_to_run(model, attached.places, "detach()")
    attached.remove()
    del model.attention, model.ticket
    return model


def _obstacles(
    model: nn.Module, blocks: Sequence[ResidualBlock], init: str, memory: str
) -> Iterator[str]:
    """Yield why attention cannot be attached, each reason as a message."""
    kind = type(model).__name__
    if init not in ("default", "identity"):
        yield f"init is 'default' or 'identity', found {init!r}"
    if memory not in ("default", "lean"):
        yield f"memory is 'default' or 'lean', found {memory!r}"
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
    first: dict[nn.Module, str] = {}  # end of a branch -> the block that it was seen in
    for block in blocks:
        if first.setdefault(block.end, block.name) != block.name:
            yield (
                f"{kind}: blocks {first[block.end]} and {block.name} share their last layer, so "
                "attention on one would act in both: name the blocks themselves, attach(at=...)"
            )
    for block in blocks:  # attached to a part of the model, or to a model that contains it
        if any(isinstance(hook, Recalibration) for hook in block.end._forward_hooks.values()):
            yield (
                f"{kind} already has attention on its block {block.name}: detach() it first from "
                "the model that was given to attach()"
            )


def _build_all(
    attention: AttentionSpec | None,
    model: nn.Module,
    blocks: Sequence[ResidualBlock],
    ticket: Ticket,
) -> dict[int, Attention]:
    """Build the attention of a ticket's connected blocks: number of the block -> its module."""
    modules: dict[int, Attention] = {}
    shared: dict[int, Attention] = {}  # stage -> its module
    for number, (block, bit) in enumerate(zip(blocks, ticket.mask, strict=False)):
        if not bit or attention is None:
            continue
        if ticket.sharing == "stage":
            if block.stage not in shared:
                shared[block.stage] = _build(attention, model, block, stage_seed(block.stage))
            modules[number] = shared[block.stage]
        else:
            first = [other.stage for other in blocks].index(block.stage)
            seed = stage_seed(block.stage) + number - first
            modules[number] = _build(attention, model, block, seed)
    return modules


def _build(spec: AttentionSpec, model: nn.Module, block: ResidualBlock, seed: int) -> Attention:
    """Build a module for a block's branch, on the block's device and with its dtype."""
    with drawing_apart(seed):
        module = build_attention(spec, block.channels)
    # A place such as an activation has no parameters of its own.
    return module.to(next(chain(block.module.parameters(), model.parameters())))


def _set_first_child(model: nn.Module, name: str, child: nn.Module) -> None:
    """Register a module before all other children.

    What is built from some of a model's children, up to the last one that it needs, takes it along
    (torchvision's IntermediateLayerGetter, timm's FeatureListNet).
    """
    others = dict(model._modules)
    model._modules.clear()
    model.add_module(name, child)
    model._modules.update(others)
