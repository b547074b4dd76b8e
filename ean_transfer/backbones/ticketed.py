"""What every ticketed backbone shares: it is built from a ticket and knows its own."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

import torch
from mmengine.logging import print_log
from mmengine.model import PretrainedInit
from torch import Tensor, nn

from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attachment.resolve import TicketSpec, resolve_ticket
from ean_transfer.attention import Attention, AttentionSpec
from ean_transfer.backbones.stage import TicketStage
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.io.checkpoint import read_checkpoint, weights_of
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.checkpoint import ticket_of
from ean_transfer.ticket.display import described

_IDENTITY = nn.Identity()
_PRETRAINED = ("Pretrained", PretrainedInit)  # as an init_cfg's type

if TYPE_CHECKING:
    from mmengine.model import BaseModule as _Base
else:
    _Base = object


def _is_attentions(name: str) -> bool:
    """Whether a parameter belongs to attention, by its name."""
    return not {"attention", "asr"}.isdisjoint(name.split("."))


class TicketBackbone(MaskableNetwork, _Base):
    """Mixed into mmpretrain's ResNets: builds stages by a ticket, and masks them on demand.

    A ticket's network *is* the small network: only connected blocks call an attention, only stages
    with a connection hold one. Built with ticket ``"full"`` it is a supernet, whose mask
    :meth:`set_mask` chooses between forwards.

    With ``init="identity"`` new attention, re-parameterised or not, does not change a pretrained
    network's output: each module starts with values that multiply any branch by a constant c
    (:meth:`~ean_transfer.attention.Attention.init_constant`), and the last affine layer of its
    blocks' branches is divided by c. That happens at the end of :meth:`init_weights`, and again
    whenever weights *without the module's own* are loaded: by ``init_cfg`` (Pretrained),
    :func:`~ean_transfer.engine.weights.load_backbone`, ``load_from`` or ``load_state_dict``, once or
    several times. Weights that hold the module's are loaded as they are and override it all. As
    ever, weights are loaded after :meth:`init_weights`, which would replace them. It is meant for
    one ticket's network: a mask set later, without some of its connections, leaves their branches
    1/c times too large.
    """

    backbone_name: str
    res_layers: list[str]
    out_indices: Sequence[int]
    frozen_stages: int
    deep_stem: bool
    stem: nn.Module
    conv1: nn.Module
    norm1: nn.Module
    relu: nn.Module
    maxpool: nn.Module

    def __init__(
        self,
        depth: int,
        *,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        **kwargs: Any,
    ) -> None:
        """mmpretrain's, which asserts the following, or fails in the middle.

        Raises:
            ConfigError: If the arguments do not fit the number of stages.
        """
        for name, found in (("strides", strides), ("dilations", dilations)):
            if len(found) != num_stages:
                raise ConfigError(
                    f"{name} has a value for each of the {num_stages} stages (num_stages), found "
                    f"{tuple(found)}"
                )
        if not out_indices or not all(0 <= index < num_stages for index in out_indices):
            raise ConfigError(
                f"out_indices count stages from 0 to {num_stages - 1}, found {tuple(out_indices)}"
            )
        if frozen_stages > num_stages:
            raise ConfigError(
                f"frozen_stages is at most {num_stages}, the number of stages, found "
                f"{frozen_stages}"
            )
        super().__init__(
            depth,
            num_stages=num_stages,
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            **kwargs,
        )

    def _prepare(
        self,
        blocks: Sequence[int],
        attention: AttentionSpec | None,
        sharing: str,
        ticket: TicketSpec | None,
        init: str,
        asr: bool | str,
    ) -> None:
        """Resolve the ticket; called before the stages are built."""
        if init not in ("default", "identity"):
            raise ConfigError(f"init is 'default' or 'identity', found {init!r}")
        if asr not in (False, True, "before"):
            raise ConfigError(f"asr is False, True or 'before', found {asr!r}")
        self.init = init
        self.ticket = resolve_ticket(
            ticket if ticket is not None else ("none" if attention is None else "full"),
            backbone=self.backbone_name,
            blocks=blocks,
            attention=attention,
            sharing=sharing,
        )
        if asr and not self.ticket.to_fold:  # else the ticket says itself what is to be folded
            self.ticket = self.ticket.with_asr(before=asr == "before")
        self._attention = attention
        self._built = 0  # stages so far

    ticket: Ticket
    """The ticket this network was built with."""

    def make_res_layer(self, **kwargs: Any) -> TicketStage:
        """Build the next stage (the name is mmpretrain's)."""
        index = self._built
        self._built = index + 1
        stage = TicketStage(
            mask=[bit == "1" for bit in self.ticket.stages[index]],
            asr=[bit == "1" for bit in self.ticket.asr[index]] if self.ticket.asr else (),
            attention=self._attention,
            sharing=self.ticket.sharing,
            seed=(torch.initial_seed() + 1000 * (index + 1)) % 2**63,
            **kwargs,
        )
        if self.init == "identity":
            for attention, blocks in stage.attentions().items():
                attention.init_constant()  # refuses now, and not in the middle of loading
                if blocks[0].last_affine().weight is None:
                    raise ConfigError(
                        "init='identity' divides the last layer of a branch, which has no weight "
                        "here (norm_cfg with affine=False): use init='default'"
                    )
        return stage

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
        if isinstance(mask, str):  # each of whose characters is true, also "0"
            raise TicketError(f"a mask has a truth value a block, found the text {mask!r:.40}")
        bits = list(mask.mask if isinstance(mask, Ticket) else mask)
        if len(bits) != self.ticket.num_blocks:
            raise TicketError(
                f"{self.backbone_name} has {self.ticket.num_blocks} blocks, found {len(bits)} bits"
            )
        masks = []
        for stage in self.stages:
            masks.append(stage.checked(bits[: len(stage)]))
            bits = bits[len(stage) :]
        for stage, connected in zip(self.stages, masks, strict=True):  # all or none of them
            stage.connected = connected

    def disconnect(self, mask: Sequence[bool]) -> None:
        """Take away, for good, all connections but those of a mask, and their modules and keys.

        Args:
            mask: One truth value a block, all stages in order.

        Raises:
            TicketError: If the length is not the number of blocks.
            ConfigError: If a connection was not built.
        """
        self.set_mask(mask)
        bits = list(mask)
        for stage in self.stages:
            stage.disconnect(bits[: len(stage)])
            bits = bits[len(stage) :]
        masked = self.ticket.with_mask(mask)
        provenance = {"disconnected_from": {"id": self.ticket.id, **self.ticket.provenance}}
        self.ticket = self.ticket.replace(stages=masked.stages, provenance=provenance)

    def stem_forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) to the first stage's input: the head of mmpretrain's ``forward``."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        return self.maxpool(x) if hasattr(self, "maxpool") else x

    def output_layer(self, index: int) -> nn.Module:
        """What a stage's feature map, counted from 0, goes through to become one of the outputs.

        Nothing but in pre-activation networks; the next stage takes the map itself.
        """
        return _IDENTITY

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the feature maps of the stages ``out_indices``."""
        x = self.stem_forward(x)
        outputs = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in self.out_indices:
                outputs.append(self.output_layer(index)(x))
        return tuple(outputs)

    def _report_unused_bits(self) -> None:
        """Say which of the ticket's stages no output depends on, and which are never trained.

        Called after building.
        """
        used = max(self.out_indices) + 1
        for kind, stages in (("", self.ticket.stages), ("asr ", self.ticket.asr)):
            for i, bits in enumerate(stages):
                if "1" in bits and i < self.frozen_stages:
                    print_log(
                        f"{self.backbone_name}: stage {i + 1} is frozen, its attention "
                        f"({kind}{bits}) with it: load weights trained with the ticket",
                        logger="current",
                    )
                if "1" in bits and i >= used:
                    print_log(
                        f"{self.backbone_name}: the network's outputs end at stage {used}, so the "
                        f"ticket's bits for stage {i + 1} ({kind}{bits}) are not used",
                        logger="current",
                    )

    def attention_parameters(self) -> int:
        """Number of parameters in attention modules."""
        return sum(
            parameter.numel()
            for stage in self.stages
            for name, parameter in stage.named_parameters()
            if _is_attentions(name)
        )

    def accepts(self, ticket: Ticket) -> bool:
        """Whether weights trained with a ticket are this network's: its own, or, where attention
        starts as the identity, the plain network's."""
        plain = ticket.is_plain and ticket.backbone == self.ticket.backbone
        return ticket.id == self.ticket.id or (plain and self.init == "identity")

    def init_weights(self) -> None:
        """Initialise; a ``Pretrained`` checkpoint of another ticket is refused.

        mmengine loads it without being strict, and would say no word.

        Raises:
            TicketError: If ``init_cfg`` names a checkpoint that was trained with another ticket.
            CheckpointError: If it names one of which nothing fits.
        """
        first, pretrained = not self.is_init, self._pretrained_files()
        for file, prefix in pretrained:
            if os.path.isfile(file):
                self._require_own_weights(file, prefix)
        if pretrained or not first:
            self.zero_init_residual = False  # mmpretrain would zero what was loaded or trained
        with nullcontext() if pretrained else self._attention_aside():
            super().init_weights()
        if first and not pretrained and self.init == "identity":
            own = self.state_dict().items()
            plain = {name: value for name, value in own if not _is_attentions(name)}
            self.load_state_dict(plain, strict=False)  # as if they had been loaded

    def require_ticket(self, ticket: Ticket, source: str) -> None:
        """Refuse weights that were trained with another ticket than this network's.

        Args:
            ticket: The ticket that the weights were trained with.
            source: What they come from, for the message.

        Raises:
            TicketError: The two tickets make different networks; a plain network's weights are
                taken where attention starts as the identity.
        """
        if not self.accepts(ticket):
            raise TicketError(
                f"{source} was trained with ticket {described(ticket)}, but the network has "
                f"{described(self.ticket)}: build it with the checkpoint's ticket, or train it anew"
            )

    def _require_own_weights(self, path: str, prefix: str) -> None:
        """Refuse a checkpoint that mmengine would load without a word although it is another's.

        Args:
            path: The checkpoint.
            prefix: Prefix of this network's names in it.

        Raises:
            TicketError: It was trained with another ticket.
            CheckpointError: None of its tensors is this network's.
        """
        checkpoint = read_checkpoint(path)
        if ticket := ticket_of(checkpoint):
            self.require_ticket(ticket, path)
        prefix = f"{prefix.rstrip('.')}." if prefix else ""
        names = {n.removeprefix(prefix) for n in weights_of(checkpoint) if n.startswith(prefix)}
        if not names & set(self.state_dict()):
            hint = "" if prefix else "; of a whole model, give init_cfg prefix='backbone.'"
            raise CheckpointError(f"{path}: none of its tensors belongs to the backbone{hint}")

    def _pretrained_files(self) -> list[tuple[str, str]]:
        """Files of ``init_cfg``, and the prefixes of their names."""
        cfgs = self.init_cfg if isinstance(self.init_cfg, list) else [self.init_cfg or {}]
        return [
            (cfg["checkpoint"], cfg.get("prefix") or "")
            for cfg in cfgs
            if cfg.get("type") in _PRETRAINED
        ]

    @contextmanager
    def _attention_aside(self) -> Iterator[None]:
        """Within: without attention modules.

        mmengine would replace the initial values of their convolutions, drawing from the global
        generator, so that arms which differ in their tickets started from different weights.
        """
        aside = [
            (holder, holder._modules.pop("attention"))
            for holder in list(self.modules())
            if isinstance(holder._modules.get("attention"), Attention)
        ]
        try:
            yield
        finally:
            for holder, attention in aside:
                holder._modules["attention"] = attention

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        # torch's and mmengine's loaders come here first and then load each layer; the dict is
        # theirs to change.
        if self.init == "identity":
            self._start_as_identity(state_dict, prefix)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)

    def _start_as_identity(self, weights: dict[str, Any], prefix: str) -> None:
        """Prepare for weights that are about to be loaded: see the class.

        Args:
            weights: By name, those of this network after ``prefix``; a branch's last affine layer
                is divided by c where they lack its attention.
            prefix: Of the names.
        """
        names = {module: f"{prefix}{name}" for name, module in self.named_modules()}
        for stage in self.stages:
            for attention, blocks in stage.attentions().items():
                if any(f"{names[attention]}.{name}" in weights for name in attention.state_dict()):
                    continue
                layers = [names[block.last_affine()] for block in blocks]
                affine = [f"{layer}.{name}" for layer in layers for name in ("weight", "bias")]
                if found := [name for name in affine if name in weights]:
                    constant = attention.init_constant()
                    weights.update({name: weights[name] / constant for name in found})

    def train(self, mode: bool = True) -> Any:
        super().train(mode)  # mmpretrain's returns None, and so would net.eval()
        return self
