"""Networks of other libraries as backbones of mmengine's models, with attention attached."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import initialize
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.attachment.attach import attach_to, blocks_for
from ean_transfer.attachment.libraries import build_network
from ean_transfer.attachment.network import MaskableNetwork, find_backbone
from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import Attention, AttentionSpec
from ean_transfer.attention.base import State
from ean_transfer.backbones.maps import Maps, maps_of
from ean_transfer.backbones.pretrained import pretrained_cfgs
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask

_DILATED = {8: (False, True, True), 16: (False, False, True), 32: (False, False, False)}
"""Output stride -> torchvision's ``replace_stride_with_dilation``."""


@MODELS.register_module()
class AttachedBackbone(MaskableNetwork, BaseModule):
    """A network of timm, torchvision or one's own as a backbone, with attention attached.

    ``(N, 3, H, W)`` to a tuple of maps, one for each of ``out_indices``. The network, ``body``,
    keeps the names of its layers, so its checkpoints load, and so do tickets that were searched on
    it in plain PyTorch. Layers after the last map are removed; the ticket's bits for them are then
    unused, and a log line says so.

    Args:
        model: ``"timm:NAME"``, ``"torchvision:NAME"``, ``"transformers:NAME"``, a module, or a
            module's config. A module is changed: see
            :func:`~ean_transfer.backbones.maps.maps_of` for what it may be.
        attention: ``"SE"``, ``dict(type="SE", reduction=4)``; the ticket's own by default, and none
            without a ticket.
        sharing: ``"stage"``: one module per stage; ``"block"``: one per connected block; the
            ticket's own by default, and ``"stage"`` without a ticket.
        ticket: ``"none"``, ``"full"``, a Ticket, a ticket file's path, or ``"zoo:NAME"``; ``None``
            means ``"full"`` with an attention and ``"none"`` without.
        init: ``"default"``: the attention's own initial values; ``"identity"``: values that do not
            change a pretrained network's output at first, see :func:`~ean_transfer.attach`.
        memory: ``"default"``, or ``"lean"``: attention is computed again in the backward pass, see
            :func:`~ean_transfer.attach`.
        weights: A checkpoint for :meth:`init_weights`: a file, or a name such as ``"timm:NAME"``,
            see :func:`~ean_transfer.io.sources.weights_file`. ``None``: random weights.
        at: Names or patterns of modules that are the places of attention, instead of residual
            blocks, see :func:`~ean_transfer.attach`; those of the ticket by default.
        out_indices: Maps that are returned. A network has one for each stride, counted from 0, or
            from -1 backwards: ``(-4, -3, -2, -1)`` are those of strides 4, 8, 16 and 32.
        frozen_stages: Index of a map whose layers, and those before them, are not trained; -1:
            none. In a ResNet 0 is the stem, and 1 the stem and the first stage.
        norm_eval: Whether BatchNorm always uses its running statistics.
        output_stride: Stride of the last map, 8 or 16, where the library can dilate its network.
        pretrained: The same as ``weights``; mmsegmentation's models set it.
        init_cfg: mmengine's own way to say ``weights``.
        **kwargs: Other arguments of the library's function, such as timm's ``drop_path_rate``.

    Attributes:
        body: The network.
        out_channels: Number of channels of each returned map.

    Raises:
        ConfigError: The network cannot be built or has no maps, an argument is out of range, or
            attention cannot be attached.
        TicketError: The ticket does not fit the network, attention, options or sharing.
    """

    def __init__(
        self,
        model: str | dict[str, Any] | nn.Module,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        init: str = "default",
        memory: str = "default",
        weights: str | None = None,
        at: str | Sequence[str] | None = None,
        out_indices: Sequence[int] = (-1,),
        frozen_stages: int = -1,
        norm_eval: bool = False,
        output_stride: int | None = None,
        pretrained: str | None = None,
        init_cfg: dict[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        checkpoint = weights or pretrained
        if checkpoint is not None:
            init_cfg = dict(type="Pretrained", checkpoint=checkpoint)
        super().__init__(init_cfg)
        body, self.maps = _built(model, output_stride, kwargs)
        for problem in _problems(self.maps, out_indices, frozen_stages):
            raise ConfigError(f"{type(body).__name__}: {problem}")
        count = len(self.maps.channels)
        self.out_indices = tuple(sorted({index % count for index in out_indices}))
        self.out_channels = tuple(self.maps.channels[index] for index in self.out_indices)
        if ticket is None:
            ticket = "none" if attention is None else "full"
        blocks = blocks_for(body, ticket, at)
        self.maps.shorten(body, self.out_indices[-1])
        self.body: Any = attach_to(body, blocks, attention, sharing, ticket, init, memory=memory)
        self.ticket = find_backbone(body).ticket
        self.init = init
        self.norm_eval = norm_eval
        self.frozen_stages = frozen_stages
        frozen = self._frozen()
        for module in frozen:
            module.training = False
            for parameter in module.parameters(recurse=False):
                parameter.requires_grad = False
        self._log_unused_bits(frozen)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """Images (N, 3, H, W) to the maps ``out_indices``."""
        self.body.attention.require_hooks()
        return tuple(self.maps.run(self.body, images, self.out_indices))

    # -- the maskable network ------------------------------------------------------------------

    @property
    def network(self) -> nn.Module:
        """The backbone itself: it is run with images."""
        return self

    @property
    def places(self) -> list[nn.Module]:
        """The blocks that the network has, in forward order."""
        return self.body.attention.places

    @property
    def attentions(self) -> list[Attention | None]:
        """The attention that each block calls if its bit is 1; ``None``: it has none to call."""
        return self.body.attention.attentions

    @property
    def states(self) -> list[list[State]]:
        """What the attention of each block has passed on, one list per stage."""
        return self.body.attention.states

    @property
    def mask(self) -> Mask:
        """The connections that the next forward uses, one truth value per block."""
        return self.body.attention.mask

    def set_mask(self, mask: Sequence[bool | int] | Ticket) -> None:
        """Choose the connections that the next forwards use, among those that were built.

        Args:
            mask: One truth value per block, all stages in order, or a ticket.

        Raises:
            TicketError: The length is not the number of blocks, or the mask is text.
            ConfigError: A connection was not built, or the network is compiled.
        """
        self.body.attention.set_mask(mask)

    # -- training ------------------------------------------------------------------------------

    def init_weights(self) -> None:
        """Load ``weights``, once; the network's random weights were drawn when it was built.

        Raises:
            TicketError: The checkpoint was trained with another ticket.
            CheckpointError: The checkpoint cannot be read, or does not fit.
        """
        # mmengine's would also call that of the body, which draws the attention's weights anew.
        if not self.is_init:  # type: ignore[has-type]  # mmengine has no types
            for cfg in pretrained_cfgs(self.init_cfg):
                initialize(self, cfg)
        self.is_init = True

    def train(self, mode: bool = True) -> AttachedBackbone:
        """Set the mode of all layers but those that ``frozen_stages`` and ``norm_eval`` name."""
        super().train(mode)
        frozen = self._frozen()
        for module in self.modules():
            is_fixed = self.norm_eval and isinstance(module, _BatchNorm)
            if is_fixed or module in frozen:
                module.training = False
        return self

    def _frozen(self) -> set[nn.Module]:
        """The layers that are not trained, and their attention; anew, as layers get converted."""
        if self.frozen_stages < 0:
            return set()
        index = min(self.frozen_stages, self.out_indices[-1])  # later layers were removed
        frozen = set(_layers_up_to(self.body, self.maps.layers[index]))
        pairs = list(zip(self.places, self.attentions, strict=True))
        trained = {attention for place, attention in pairs if place not in frozen}
        for _, attention in pairs:
            if attention is not None and attention not in trained:
                frozen.update(attention.modules())
        return frozen

    def _log_unused_bits(self, layers: set[nn.Module]) -> None:
        """Log which of the ticket's connections no map depends on, and which are never trained."""
        name, built = self.backbone_name, len(self.places)
        if unused := sum(self.ticket.mask[built:]):
            print_log(
                f"{name}: the network ends at its map {self.out_indices[-1]}, so {unused} of the "
                f"ticket's {sum(self.ticket.mask)} connections are not used",
                logger="current",
            )
        if frozen := sum(attention in layers for attention in self.attentions):
            print_log(
                f"{name}: {frozen} of the ticket's connections lie in frozen layers, their "
                "attention with them: load weights trained with the ticket",
                logger="current",
            )


def _built(
    model: str | dict[str, Any] | nn.Module, output_stride: int | None, options: dict[str, Any]
) -> tuple[nn.Module, Maps]:
    """The network that is named or given, and its maps."""
    if not isinstance(model, str):
        network = model if isinstance(model, nn.Module) else MODELS.build(model)
        if output_stride is not None or options:
            raise ConfigError(
                f"{', '.join(options) or 'output_stride'} is for networks by name (timm:NAME), "
                f"found a {type(network).__name__}: build it so"
            )
        return network, maps_of(network)
    if model.startswith("timm:"):
        strided = {} if output_stride is None else {"output_stride": output_stride}
        network = build_network(model, **{"num_classes": 0, **options, **strided})
        return network, maps_of(network)
    network = build_network(model, **options)
    maps = maps_of(network)
    if output_stride is not None:
        # With dilations several maps have the same size: which there are is seen without them.
        network = build_network(model, **options, **_dilation(model, output_stride))
    return network, maps


def _dilation(model: str, output_stride: int) -> dict[str, Any]:
    if model.startswith("transformers:"):
        return {"output_stride": output_stride}
    if output_stride not in _DILATED:
        raise ConfigError(
            f"{model}: output_stride is {', '.join(map(str, _DILATED))}, found {output_stride}"
        )
    return {"replace_stride_with_dilation": _DILATED[output_stride]}


def _problems(maps: Maps, out_indices: Sequence[int], frozen_stages: int) -> Iterator[str]:
    """Yield what is wrong with the arguments that count a network's maps."""
    count = len(maps.channels)
    if not out_indices or not all(-count <= index < count for index in out_indices):
        yield (
            f"out_indices count its {count} maps from 0 to {count - 1} or from -1 to -{count}, "
            f"found {tuple(out_indices)}"
        )
    if frozen_stages >= len(maps.layers):
        last = len(maps.layers) - 1
        yield (
            f"frozen_stages is at most {last}, the last of its maps, found {frozen_stages}"
            if maps.layers
            else f"frozen_stages is -1 for a network that returns its maps, found {frozen_stages}"
        )


def _layers_up_to(network: nn.Module, name: str) -> list[nn.Module]:
    """The network's own modules that are registered before a module, and that module's.

    Modules are registered in forward order, but attention comes first. A map without a name is
    made of the images alone (timm's TResNet).
    """
    if not name:
        return []
    last = network.get_submodule(name)
    attached: Any = network.attention
    skipped = set(attached.modules())
    layers: list[nn.Module] = []
    for module in network.modules():
        if module is last:
            break
        if module not in skipped and last not in module.modules():
            layers.append(module)
    return [*layers, *last.modules()]
