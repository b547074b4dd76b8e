"""Base of the ticketed backbones: builds mmpretrain's ResNets from a ticket, and masks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.model import BaseModule
from mmpretrain.models import ResNet
from torch import Tensor, nn

from ean_transfer.attachment.draws import stage_seed
from ean_transfer.attachment.network import MaskableNetwork
from ean_transfer.attachment.resolve import TicketSpec, resolve_ticket
from ean_transfer.attention import Attention, AttentionSpec
from ean_transfer.backbones import identity_init
from ean_transfer.backbones.arguments import log_unused_bits, problems
from ean_transfer.backbones.dilations import set_block_dilations
from ean_transfer.backbones.pretrained import pretrained_cfgs
from ean_transfer.backbones.stage import TicketStage
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask, mask_of

_IDENTITY = nn.Identity()


class TicketBackbone(MaskableNetwork, ResNet):
    """Base of the backbones whose ticketed blocks carry attention.

    A ticket's network *is* the small network: only connected blocks call an attention, and only
    stages with a connection hold one. With ticket ``"none"`` it equals mmpretrain's network key for
    key and value for value. Built with ticket ``"full"`` it is a supernet, whose mask
    :meth:`set_mask` chooses between forwards.

    With ``init="identity"`` new attention, re-parameterised or not, does not change a pretrained
    network's output: its branches are divided by the constant that the attention starts with (see
    :mod:`~ean_transfer.backbones.identity_init`). That happens at the end of :meth:`init_weights`,
    and again whenever weights *without the module's own* are loaded: by ``init_cfg`` (Pretrained),
    :func:`~ean_transfer.engine.weights.load_backbone`, ``load_from`` or ``load_state_dict``, once
    or several times. Weights that hold the module's are loaded as they are. As usual, weights are
    loaded after :meth:`init_weights`, which would replace them. Use it with one ticket's network: a
    mask set later, without some of its connections, leaves their branches 1/c times too large.

    Args:
        name: Name of the network in its tickets, e.g. ``"resnet50"``.
        depth: Number of layers.
        block: Class of the residual blocks.
        blocks: Number of residual blocks per stage.
        attention: ``"SE"``, ``dict(type="SE", reduction=8)``; the ticket's own by default, and none
            without a ticket.
        sharing: ``"stage"``: one module per stage; ``"block"``: one per connected block; the
            ticket's own by default, and ``"stage"`` without a ticket.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            means ``"full"`` with an attention and ``"none"`` without.
        init: ``"default"``: the attention's own initial values; ``"identity"``: values that do not
            change a pretrained network's output at first.
        memory: ``"default"``, or ``"lean"``: the end of each branch with attention is computed
            again in the backward pass, so that training keeps in memory what it keeps without
            attention (see :func:`~ean_transfer.attention.recompute.recomputed`).
        asr: ``True``: the ticket's connections are re-parameterised, to be folded away
            (:mod:`ean_transfer.asr`); ``"before"``: a re-parameterised one is added before each. A
            ticket that names the blocks to fold is left as it is.
        num_stages: Number of stages. ``num_stages=3``, with ``strides``, ``dilations`` and
            ``out_indices`` of three stages, leaves the last stage out; the ticket's bits for it are
            then unused, and a log line says so.
        strides: Stride of each stage's first block.
        dilations: Dilation of each stage.
        contract_dilation, multi_grid: Dilations of single blocks, as in mmsegmentation, see
            :func:`~ean_transfer.backbones.dilations.set_block_dilations`.
        out_indices: Stages whose maps are returned, counted from 0.
        frozen_stages: Number of stages, with the stem, that are not trained; -1: none.
        pretrained: Checkpoint of an ``init_cfg`` (Pretrained); mmsegmentation's models set it.
        **kwargs: Other arguments of mmpretrain's ResNet (norm_eval, with_cp, init_cfg ...).

    Raises:
        ConfigError: An unknown attention, option, init, memory or asr, an attention that cannot
            start as the identity, or arguments that do not fit the number of stages.
        TicketError: The ticket does not fit the network, attention, options or sharing.
    """

    runs_in_steps = True

    def __init__(
        self,
        name: str,
        depth: int,
        block: type[nn.Module],
        blocks: Sequence[int],
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        init: str = "default",
        memory: str = "default",
        asr: bool | str = False,
        num_stages: int = 4,
        strides: Sequence[int] = (1, 2, 2, 2),
        dilations: Sequence[int] = (1, 1, 1, 1),
        contract_dilation: bool = False,
        multi_grid: Sequence[int] | None = None,
        out_indices: Sequence[int] = (3,),
        frozen_stages: int = -1,
        pretrained: str | None = None,
        **kwargs: Any,
    ) -> None:
        if pretrained is not None:
            kwargs["init_cfg"] = dict(type="Pretrained", checkpoint=pretrained)
        for problem in problems(
            init, memory, asr, num_stages, strides, dilations, out_indices, frozen_stages
        ):
            raise ConfigError(f"{name}: {problem}")
        resolved, attention = resolve_ticket(
            ticket if ticket is not None else ("none" if attention is None else "full"),
            backbone=name,
            blocks=blocks,
            attention=attention,
            sharing=sharing,
        )
        if asr and not resolved.to_fold:  # else the ticket itself says what is to be folded
            resolved = resolved.with_asr(before=asr == "before")

        # The only way to give mmpretrain's ResNet blocks and depths that it does not know.
        self.arch_settings = {depth: (block, blocks)}
        super().__init__(
            depth,
            num_stages=num_stages,
            strides=strides,
            dilations=dilations,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            **kwargs,
        )
        if contract_dilation or multi_grid is not None:
            set_block_dilations(self.stages, dilations, contract_dilation, multi_grid)
        self.ticket = resolved
        self.init = init
        for index, stage in enumerate(self.stages):
            mask, to_fold = mask_of(resolved.stages[index]), mask_of(resolved.asr_stages[index])
            if attention is not None and any(mask + to_fold):
                stage.connect(mask, to_fold, attention, resolved.sharing, stage_seed(index))
        places: list[Any] = self.places
        for place in places:
            place.lean = memory == "lean"
        self._freeze_stages()  # mmpretrain froze the blocks, but not yet the attention
        if init == "identity":
            identity_init.prepare(self)
        log_unused_bits(self)

    def make_res_layer(self, **kwargs: Any) -> TicketStage:
        """Build a plain stage (the name is mmpretrain's)."""
        return TicketStage(**kwargs)

    @property
    def stages(self) -> list[TicketStage]:
        """The residual stages in order."""
        return [getattr(self, name) for name in self.res_layers]

    @property
    def network(self) -> nn.Module:
        """The backbone itself: it is run with images."""
        return self

    @property
    def places(self) -> list[nn.Module]:
        """The blocks that were built, in forward order."""
        return [block for stage in self.stages for block in stage]

    @property
    def attentions(self) -> list[Attention | None]:
        """The attention that each block calls if its bit is 1; ``None``: it has none to call."""
        return [
            stage.attention_of(block) if built else None
            for stage in self.stages
            for block, built in zip(stage, stage.available, strict=True)
        ]

    @property
    def mask(self) -> Mask:
        """The connections that the next forward uses, one truth value per block.

        Stages that were not built (``num_stages``) have none.
        """
        bits = [bit for stage in self.stages for bit in stage.connected]
        return tuple(bits + [False] * (self.ticket.num_blocks - len(bits)))

    def set_mask(self, mask: Sequence[bool | int] | Ticket) -> None:
        """Choose the connections that the next forwards use, among those that were built.

        Args:
            mask: One truth value per block, all stages in order, or a ticket.

        Raises:
            TicketError: The length is not the number of blocks, or the mask is text.
            ConfigError: A connection was not built (build with ticket ``"full"``).
        """
        # All stages are checked before the first one is changed.
        masks = [stage.checked(bits) for stage, bits in self._by_stage(mask)]
        for stage, connected in zip(self.stages, masks, strict=True):
            stage.connected = connected

    def disconnect(self, mask: Sequence[bool]) -> None:
        """Remove, for good, all connections that are not in a mask, and their modules and keys.

        Args:
            mask: One truth value per block, all stages in order.

        Raises:
            TicketError: The length is not the number of blocks.
            ConfigError: A connection was not built.
        """
        self.set_mask(mask)
        for stage, bits in self._by_stage(mask):
            stage.disconnect(bits)
        masked = self.ticket.with_mask(mask)
        provenance = {"disconnected_from": {"id": self.ticket.id, **self.ticket.provenance}}
        self.ticket = self.ticket.replace(stages=masked.stages, provenance=provenance)

    def _by_stage(self, mask: Sequence[bool | int] | Ticket) -> Iterator[tuple[TicketStage, Mask]]:
        """Yield each stage that was built, with its part of a mask."""
        bits = self.checked_mask(mask)
        for stage in self.stages:
            yield stage, bits[: len(stage)]
            bits = bits[len(stage) :]

    def stem_forward(self, x: Tensor) -> Tensor:
        """Images (N, 3, H, W) to the first stage's input: the head of mmpretrain's ``forward``."""
        x = self.stem(x) if self.deep_stem else self.relu(self.norm1(self.conv1(x)))
        return self.maxpool(x) if hasattr(self, "maxpool") else x

    def output_layer(self, index: int) -> nn.Module:
        """The layer between the map of a stage, counted from 0, and the network's output.

        The identity except in pre-activation networks. The next stage takes the map without it.
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

    def train(self, mode: bool = True) -> Any:
        super().train(mode)  # mmpretrain's returns None, and so would net.eval()
        return self

    # -- weights -----------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """Initialise once; a ``Pretrained`` checkpoint of another network is refused.

        Raises:
            TicketError: ``init_cfg`` names a checkpoint that was trained with another ticket.
            CheckpointError: ``init_cfg`` names a checkpoint that does not fit.
        """
        if self.is_init:  # mmpretrain would zero the branches again, also trained ones
            return
        if pretrained_cfgs(self.init_cfg):
            BaseModule.init_weights(self)  # not mmpretrain's, which may zero loaded branches
            return
        with self._attention_set_aside():
            super().init_weights()
        if self.init == "identity":
            identity_init.divide_branches(self)

    @contextmanager
    def _attention_set_aside(self) -> Iterator[None]:
        """Yield while the attention modules are not part of the network; on exit they are again.

        mmengine would replace the initial values of their convolutions, drawing from the global
        generator, and networks that differ in their tickets would start from different weights.
        """
        modules = [(holder, getattr(holder, "attention", None)) for holder in self.modules()]
        held = [(holder, module) for holder, module in modules if isinstance(module, Attention)]
        for holder, _ in held:
            del holder.attention
        try:
            yield
        finally:
            for holder, module in held:
                holder.attention = module
