"""What every ticketed backbone shares: it is built from a ticket and knows its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from torch import Tensor, nn

from ean_transfer.attention import AttentionSpec, attention_options
from ean_transfer.backbones.stage import TicketStage
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import BackboneSpec, Ticket, TicketError

TicketSpec = str | os.PathLike[str] | Ticket | dict[str, Any]
"""``"none"``, ``"full"``, a ticket file's path, ``"zoo:NAME"``, a Ticket, or its fields."""

if TYPE_CHECKING:
    from mmengine.model import BaseModule as _Base
else:
    _Base = object


def resolve_ticket(
    spec: TicketSpec,
    *,
    backbone: str,
    blocks: Sequence[int],
    attention: AttentionSpec | None,
    sharing: str,
) -> Ticket:
    """The ticket that a backbone's arguments stand for, with all of the attention's options.

    Raises:
        TicketError: If the ticket was made for another backbone, attention, options or sharing.
        ConfigError: For an unknown attention, option or sharing.
    """
    if sharing not in ("stage", "block"):
        raise ConfigError(f"sharing is 'stage' or 'block', found {sharing!r}")
    name, options = attention_options(attention) if attention is not None else (None, {})
    ticket: Ticket | None
    if isinstance(spec, (Ticket, dict)):
        ticket = spec if isinstance(spec, Ticket) else Ticket(**spec)
        source = "the ticket"
    elif spec in ("none", "full"):
        ticket, source = None, ""
    else:
        ticket, source = Ticket.load(spec), f"ticket {os.fspath(spec)}"

    expected: dict[str, Any] = {"attention": name, "attention_options": options, "sharing": sharing}
    if ticket is None:
        if attention is None and spec == "full":
            raise ConfigError("ticket 'full' needs an attention to connect, found None")
        make = Ticket.full if spec == "full" else Ticket.none
        return make(backbone, blocks=blocks, **expected)

    wanted = BackboneSpec(name=backbone, blocks=tuple(blocks))
    if ticket.backbone != wanted:
        raise TicketError(
            f"{source} is for {_describe(ticket.backbone)}, the network is {_describe(wanted)}"
        )
    if ticket.connected == 0:  # the plain network, whatever attention was meant
        return ticket.replace(**expected)
    if ticket.attention != name:
        raise TicketError(
            f"{source} connects {ticket.attention}, the network is built with attention {name}: "
            f"set the backbone's attention to {ticket.attention}, or carry the mask over with "
            f"tools/ticket.py convert --attention {name or 'NAME'}"
        )
    for option, value in ticket.attention_options.items():
        if options.get(option) != value:
            raise TicketError(
                f"{source} has {name} with {option}={value}, the network is built with "
                f"{option}={options.get(option, 'no such option')}"
            )
    if ticket.sharing != sharing:
        raise TicketError(
            f"{source} has sharing {ticket.sharing!r}, the network is built with {sharing!r}"
        )
    return ticket.replace(attention_options=options)


def _describe(spec: BackboneSpec) -> str:
    return f"{spec.name} ({'-'.join(map(str, spec.blocks))} blocks a stage)"


class TicketedResNet(_Base):
    """Mixed into mmpretrain's ResNets: builds stages by a ticket, and masks them on demand.

    A ticket's network *is* the small network: only connected blocks call an attention, only stages
    with a connection hold one. Built with ticket ``"full"`` it is a supernet, whose mask
    :meth:`set_mask` chooses between forwards.
    """

    backbone_name: str
    res_layers: list[str]
    out_indices: Sequence[int]
    deep_stem: bool
    stem: nn.Module
    conv1: nn.Module
    norm1: nn.Module
    relu: nn.Module
    maxpool: nn.Module

    def _prepare(
        self,
        blocks: Sequence[int],
        attention: AttentionSpec | None,
        sharing: str,
        ticket: TicketSpec | None,
    ) -> None:
        """Resolve the ticket; called before the stages are built."""
        self.ticket = resolve_ticket(
            ticket if ticket is not None else ("none" if attention is None else "full"),
            backbone=self.backbone_name,
            blocks=blocks,
            attention=attention,
            sharing=sharing,
        )
        self._attention = attention
        self._built = 0  # stages so far

    ticket: Ticket
    """The ticket this network was built with."""

    def make_res_layer(self, **kwargs: Any) -> TicketStage:
        """Build the next stage (the name is mmpretrain's)."""
        index = self._built
        self._built = index + 1
        return TicketStage(
            mask=[bit == "1" for bit in self.ticket.stages[index]],
            attention=self._attention,
            sharing=self.ticket.sharing,
            seed=(torch.initial_seed() + 1000 * (index + 1)) % 2**63,
            **kwargs,
        )

    @property
    def stages(self) -> list[TicketStage]:
        """The residual stages in order."""
        return [getattr(self, name) for name in self.res_layers]

    @property
    def mask(self) -> tuple[bool, ...]:
        """The connections that the next forward uses, one truth value a block.

        Stages that were not built (``num_stages``) have none.
        """
        bits = [bit for stage in self.stages for bit in stage.connected]
        return tuple(bits + [False] * (self.ticket.num_blocks - len(bits)))

    def set_mask(self, mask: Sequence[bool | int] | Ticket) -> None:
        """Choose the connections that the next forwards use, among those that were built.

        Args:
            mask: One truth value a block, all stages in order, or a ticket.

        Raises:
            TicketError: If the length is not the number of blocks.
            ConfigError: If a connection was not built (build with ticket ``"full"``).
        """
        bits = list(mask.mask if isinstance(mask, Ticket) else mask)
        if len(bits) != self.ticket.num_blocks:
            raise TicketError(
                f"{self.backbone_name} has {self.ticket.num_blocks} blocks, found {len(bits)} bits"
            )
        for stage in self.stages:
            stage.set_mask([bool(bit) for bit in bits[: len(stage)]])
            bits = bits[len(stage) :]

    def set_gates(self, gates: Tensor | None) -> None:
        """Mix each block's branch with its recalibrated one in the next forwards.

        Args:
            gates: (blocks,) in [0, 1]: 0 is without attention, 1 with; ``None`` takes them away.
        """
        for stage in self.stages:
            stage.gates = None if gates is None else gates[: len(stage)]
            gates = None if gates is None else gates[len(stage) :]

    def stem_forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) to the first stage's input: the head of mmpretrain's ``forward``."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        return self.maxpool(x) if hasattr(self, "maxpool") else x

    def _report_unused_bits(self) -> None:
        """Say which of the ticket's stages no output depends on; called after building."""
        used = max(self.out_indices) + 1
        unused = [i for i in range(used, len(self.ticket.stages)) if "1" in self.ticket.stages[i]]
        for i in unused:
            print_log(
                f"{self.backbone_name}: the network's outputs end at stage {used}, so the ticket's "
                f"bits for stage {i + 1} ({self.ticket.stages[i]}) are not used",
                logger="current",
            )

    def attention_parameters(self) -> int:
        """Number of parameters in attention modules."""
        return sum(
            parameter.numel()
            for stage in self.stages
            for name, parameter in stage.named_parameters()
            if "attention" in name.split(".")
        )

    def init_weights(self) -> None:
        """Initialise; a ``Pretrained`` checkpoint of another ticket is refused.

        mmengine loads it without being strict, and would say no word.

        Raises:
            TicketError: If ``init_cfg`` names a checkpoint that was trained with another ticket.
        """
        init_cfg = getattr(self, "init_cfg", None)
        if isinstance(init_cfg, dict) and init_cfg.get("type") == "Pretrained":
            # Imported late: reading checkpoints is a layer above the backbones.
            from ean_transfer.checkpoint import read_checkpoint, require_same_ticket, ticket_of

            file = init_cfg["checkpoint"]
            if os.path.isfile(file) and (found := ticket_of(read_checkpoint(file))):
                require_same_ticket(found, self.ticket, file)
        super().init_weights()

    def train(self, mode: bool = True) -> Any:
        super().train(mode)  # mmpretrain's returns None, and so would net.eval()
        return self
