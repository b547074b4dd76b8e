"""The attention of a network that ``attach()`` has prepared: its modules, hooks and mask."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import torch
import torch.fx
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from ean_transfer.attachment.compiled import look_at_hooks, require_uncompiled
from ean_transfer.attachment.families import ResidualBlock
from ean_transfer.attachment.hook import Recalibration, States
from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attention import Attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.mask import Mask


class AttachedAttention(MaskableNetwork, nn.ModuleDict):
    """The attention modules of a network: ``stage1`` ..., or ``stage1.0`` ... with one per block.

    It is the maskable network of the model that :func:`~ean_transfer.attach` prepared: hooks call
    the modules, and :meth:`set_mask` registers and removes the hooks. The container itself is the
    identity, because a model that is an ``nn.Sequential`` calls it like its other children. Its
    state dict carries the ticket's id, and weights of another ticket are refused.

    Args:
        ticket: The ticket of the network.
        model: The network.
        blocks: Its residual blocks in the ticket's order. The ticket's last bits may be of blocks
            that it lacks; they are not used.
        modules: Number of a block -> the attention that was built for it.
    """

    def __init__(
        self,
        ticket: Ticket,
        model: nn.Module,
        blocks: Sequence[ResidualBlock],
        modules: Mapping[int, Attention],
    ) -> None:
        super().__init__()
        self.ticket = ticket
        self.blocks = list(blocks)
        self._end_names = [_name_in(block.module, block.end) for block in blocks]
        self.is_compiled = False  # whether torch.compile has traced the model with its hooks
        self._model = (model,)  # in a tuple, or the model would become a part of its own part
        self._handles: dict[int, list[RemovableHandle]] = {}
        self._guards: list[RemovableHandle] = []
        self._hooks: dict[int, Recalibration] = {}
        self._states = [States(len(bits)) for bits in ticket.stages]
        for stage in range(len(ticket.stages)):
            own = [number for number, block in enumerate(blocks) if block.stage == stage]
            built = {i: modules[number] for i, number in enumerate(own) if number in modules}
            for i, module in built.items():
                dim = blocks[own[i]].channel_dim
                self._hooks[own[i]] = Recalibration(module, self._states[stage], i, dim)
            if built and ticket.sharing == "stage":
                self[f"stage{stage + 1}"] = next(iter(built.values()))
            elif built:
                self[f"stage{stage + 1}"] = nn.ModuleDict({str(i): built[i] for i in built})

    def forward(self, x: Any) -> Any:
        return x

    # -- the maskable network ------------------------------------------------------------------

    @property
    def network(self) -> nn.Module:
        """The model that was given to attach()."""
        return self._model[0]

    @property
    def places(self) -> list[nn.Module]:
        """The blocks that the network has, in forward order."""
        return [block.module for block in self.blocks]

    @property
    def attentions(self) -> list[Attention | None]:
        """The attention that each block calls if its bit is 1; ``None``: it has none to call."""
        hooks = (self._hooks.get(number) for number in range(len(self.blocks)))
        return [None if hook is None else hook.attention for hook in hooks]

    @property
    def lean(self) -> bool:
        """Whether training keeps in memory about what it keeps without attention."""
        return any(hook.lean for hook in self._hooks.values())

    @lean.setter
    def lean(self, lean: bool) -> None:
        for hook in self._hooks.values():
            hook.lean = lean

    @property
    def states(self) -> list[list[State]]:
        """What the attention of each block has passed on, one list per stage."""
        return [states.values for states in self._states]

    @property
    def mask(self) -> Mask:
        """The connections that the next forward uses, one truth value per block."""
        return tuple(number in self._handles for number in range(self.ticket.num_blocks))

    def set_mask(self, mask: Sequence[bool | int] | Ticket) -> None:
        """Choose the connections that the next forwards use: only these blocks have hooks.

        Args:
            mask: One truth value per block, all stages in order, or a ticket.

        Raises:
            TicketError: The length is not the number of blocks, or the mask is text.
            ConfigError: A connection was not built (attach with ticket ``"full"``), or the model is
                compiled, so that it would not notice new hooks.
        """
        bits = self.checked_mask(mask)[: len(self.blocks)]
        for block, bit, attention in zip(self.blocks, bits, self.attentions, strict=True):
            if bit and attention is None:
                raise ConfigError(
                    f"block {block.name} has no attention to connect: attach() with "
                    'ticket="full" to choose masks later'
                )
        if bits != self.mask[: len(bits)]:
            require_uncompiled(self.network, self.is_compiled, "set_mask()")
            self._connect(bits)

    def _connect(self, mask: Mask) -> None:
        """Register the hooks of a mask's blocks, and remove those of all others."""
        last: dict[int, int] = {}  # stage -> its last connected block so far
        for number, (block, bit) in enumerate(zip(self.blocks, mask, strict=False)):
            if not bit:
                for handle in self._handles.pop(number, ()):
                    handle.remove()
                continue
            hook = self._hooks[number]
            hook.previous = last.get(block.stage)
            last[block.stage] = hook.index
            if number not in self._handles:
                self._handles[number] = [block.end.register_forward_hook(hook)]

    # -- attaching and detaching ---------------------------------------------------------------

    def connect(self, mask: Mask) -> None:
        """Register all hooks: from now on the network calls the attention of a mask's blocks."""
        self._connect(mask)
        if not self._hooks:
            return
        look_at_hooks()
        self._guards = [self.network.register_forward_pre_hook(self.require_hooks)]
        ends = {self.blocks[number].end for number in self._hooks}
        for child in self.network.children():
            if not ends.isdisjoint(child.modules()):
                self._guards.append(child.register_forward_pre_hook(self._stay_in_graph))

    def require_hooks(self, *_: Any) -> None:
        """Refuse to run without the hooks; called before each forward of the model.

        Raises:
            ConfigError: A layer with a hook was replaced, and its hook is gone with it.
        """
        if torch.compiler.is_dynamo_compiling():
            self.is_compiled = True
        for block in (self.blocks[number] for number in self._hooks):
            same_block = self.network.get_submodule(block.name) is block.module
            if not same_block or all(layer is not block.end for layer in block.module.modules()):
                raise ConfigError(
                    f"block {block.name} has lost its attention, as the layer it was attached to "
                    "was replaced: convert or fuse the model's layers first, then attach()"
                )

    def follow(self) -> None:
        """Attach to the layers that have the names of the former ones now; the mask stays.

        For layers that were put in the place of others, with the same output: SyncBatchNorm, or
        what is left of a folded BatchNorm.

        Raises:
            AttributeError: The network has no layer of such a name.
        """
        mask = self.mask
        self.remove()
        modules = [self.network.get_submodule(block.name) for block in self.blocks]
        self.blocks = [
            replace(block, module=module, end=module.get_submodule(name))
            for block, module, name in zip(self.blocks, modules, self._end_names, strict=True)
        ]
        self.connect(mask)

    def remove(self) -> None:
        """Remove the hooks."""
        self._connect((False,) * len(self.blocks))
        for guard in self._guards:
            guard.remove()

    def _stay_in_graph(self, child: nn.Module, inputs: tuple[Any, ...]) -> tuple[Any, ...] | None:
        """Call the container, which is the identity, in a graph that torch.fx makes of the model.

        A graph has only those modules that it calls, and the hooks that call attention are not
        traced. Without this its parameters would be lost for the optimiser and for checkpoints, as
        in torchvision's ``create_feature_extractor``.
        """
        if not (inputs and isinstance(inputs[0], torch.fx.Proxy)):
            return None
        tracer: Any = inputs[0].tracer
        try:
            name = tracer.path_of_module(self)
        except NameError:
            raise ConfigError(
                f"a part of {type(self.network).__name__} cannot be traced with its attention, "
                "which belongs to the whole: trace the model that was given to attach()"
            ) from None
        return (tracer.create_proxy("call_module", name, inputs[:1], {}), *inputs[1:])

    # -- copies and files ----------------------------------------------------------------------

    def __getstate__(self) -> dict[str, Any]:
        return super().__getstate__() | {"is_compiled": False}  # a copy's code is its own

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        look_at_hooks()  # in a new process attach() was not called

    def get_extra_state(self) -> Tensor:
        return torch.tensor(list(bytes.fromhex(self.ticket.id)), dtype=torch.uint8)

    def set_extra_state(self, state: Tensor) -> None:
        # Whoever halves or averages all tensors of a checkpoint gets numbers of another type here.
        loaded_id = bytes(state.round().to(torch.uint8).tolist()).hex()
        if loaded_id != self.ticket.id:
            raise TicketError(
                f"the weights are of a network with ticket id {loaded_id}, this one has ticket "
                f"{self.ticket} (id {self.ticket.id}): attach() with the ticket of the weights"
            )


def _name_in(block: nn.Module, end: nn.Module) -> str:
    """The name of a block's end in the block; ``""`` if it is the block itself."""
    return next(name for name, module in block.named_modules() if module is end)


def follow_layers(model: nn.Module) -> None:
    """Let attention follow the model's converted layers (:meth:`AttachedAttention.follow`)."""
    for module in list(model.modules()):
        if isinstance(module, AttachedAttention):
            module.follow()
