"""Ticketed pre-activation networks for CIFAR-sized images: PreResNet and Wide ResNet."""

from __future__ import annotations

from typing import Any, Literal

from mmcv.cnn import build_conv_layer, build_norm_layer
from mmengine.registry import MODELS
from torch import Tensor, nn

from ean_transfer.attachment.resolve import TicketSpec
from ean_transfer.attention import AttentionSpec
from ean_transfer.backbones.blocks import (
    TicketPreActivationBasicBlock,
    TicketPreActivationBottleneck,
)
from ean_transfer.backbones.resnet_cifar import CIFARTicketBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import PRERESNET_CIFAR, WRN_CIFAR, layout_of


class PreActivationTicketBackbone(CIFARTicketBackbone):
    """Base of the backbones with BatchNorm and ReLU before each convolution, and once at the end.

    The stem is a convolution alone. The last activation belongs to the last stage's *output*; maps
    of earlier stages, if ``out_indices`` asks for them, are the residual stream as it is.

    Args:
        *args: Positional arguments of :class:`CIFARTicketBackbone`.
        zero_init_residual: Only ``False``: mmpretrain sets the BatchNorm at the end of a branch,
            and pre-activation branches end in a convolution.
        **kwargs: Other arguments of :class:`CIFARTicketBackbone`. ``frozen_stages`` freezes the
            last activation with the last stage.
    """

    def __init__(
        self, *args: Any, zero_init_residual: Literal[False] = False, **kwargs: Any
    ) -> None:
        if zero_init_residual:
            raise ConfigError(
                "zero_init_residual=True sets the BatchNorm that ends a branch, and pre-activation "
                "branches end in a convolution: leave it out"
            )
        super().__init__(*args, zero_init_residual=False, **kwargs)
        norm = build_norm_layer(self.norm_cfg, self.feat_dim)[1]
        self.last_activation = nn.Sequential(norm, nn.ReLU(inplace=True))
        self._freeze_stages()  # the other layers are already frozen

    def _make_stem_layer(self, in_channels: int, base_channels: int) -> None:
        self.conv1 = build_conv_layer(
            self.conv_cfg, in_channels, base_channels, kernel_size=3, padding=1, bias=False
        )

    def _freeze_stages(self) -> None:
        if self.frozen_stages < 0:
            return
        frozen: list[nn.Module] = [self.conv1, *self.stages[: self.frozen_stages]]
        # mmpretrain freezes while it builds, before there is a last activation.
        if self.frozen_stages >= len(self.stages) and hasattr(self, "last_activation"):
            frozen.append(self.last_activation)
        for part in frozen:
            part.eval().requires_grad_(False)

    def stem_forward(self, x: Tensor) -> Tensor:
        return self.conv1(x)

    def output_layer(self, index: int) -> nn.Module:
        last = index == len(self.stages) - 1
        return self.last_activation if last else super().output_layer(index)


@MODELS.register_module()
class TicketPreResNetCIFAR(PreActivationTicketBackbone):
    """The pre-activation ResNet (He et al. 2016, arXiv 1603.05027) whose ticketed blocks carry
    attention, after their last convolution and before the addition.

    Three stages of 16, 32 and 64 channels (four times that with bottlenecks).

    Args:
        depth: 6n + 2 with basic blocks, such as 20 and 110; else 9n + 2 with bottlenecks, such as
            29 and 1001. 164 has bottlenecks, as published.
        attention, sharing, ticket, **kwargs: See :class:`CIFARTicketBackbone`.
        base_channels: Number of channels of the first stage before any expansion; also of the stem.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        base_channels: int = 16,
        **kwargs: Any,
    ) -> None:
        kind, blocks = layout_of(PRERESNET_CIFAR, depth)
        bottleneck = kind == "bottleneck"
        super().__init__(
            PRERESNET_CIFAR.format(depth=depth),
            depth,
            TicketPreActivationBottleneck if bottleneck else TicketPreActivationBasicBlock,
            blocks,
            attention,
            sharing,
            ticket,
            base_channels=base_channels,
            **kwargs,
        )


@MODELS.register_module()
class TicketWideResNetCIFAR(PreActivationTicketBackbone):
    """The Wide ResNet (Zagoruyko and Komodakis 2016, arXiv 1605.07146), without dropout, whose
    ticketed blocks carry attention.

    Pre-activation basic blocks, three stages of 16k, 32k and 64k channels.

    Args:
        depth: 6n + 4, such as 16, 28, 40 and 52; projections count as layers here.
        attention, sharing, ticket, **kwargs: See :class:`CIFARTicketBackbone`.
        width: The widening factor k.
        base_channels: Number of channels of the stem; the first stage has k times as many.
    """

    def __init__(
        self,
        depth: int,
        attention: AttentionSpec | None = None,
        sharing: str | None = None,
        ticket: TicketSpec | None = None,
        *,
        width: int,
        base_channels: int = 16,
        **kwargs: Any,
    ) -> None:
        _, blocks = layout_of(WRN_CIFAR, depth)
        super().__init__(
            WRN_CIFAR.format(depth=depth, width=width),
            depth,
            TicketPreActivationBasicBlock,
            blocks,
            attention,
            sharing,
            ticket,
            stem_channels=base_channels,
            base_channels=width * base_channels,
            **kwargs,
        )
