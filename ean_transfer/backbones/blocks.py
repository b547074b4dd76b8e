"""Residual blocks that call an attention between their branch and the addition."""

from __future__ import annotations

from typing import Any

from mmcv.cnn import build_norm_layer
from mmpretrain.models.backbones import resnext
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ean_transfer.attention import Attention
from ean_transfer.attention.base import State, recalibrate


class _AttendedBlock(nn.Module):
    """The forward of a residual block: ``relu(shortcut(x) + attention(branch(x)))``.

    Mixed into mmpretrain's blocks, which hold the layers. The attention is an argument and not a
    layer of the block, so that one module can serve a whole stage; the state goes in and comes out
    by value, so that recomputation under activation checkpointing gives the same result.
    """

    with_cp: bool
    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    norm1: nn.Module
    norm2: nn.Module
    norm3: nn.Module
    relu: nn.Module
    drop_path: nn.Module
    downsample: nn.Module | None

    def branch(self, x: Tensor) -> Tensor:
        """The residual branch up to its last layer."""
        raise NotImplementedError

    def shortcut(self, x: Tensor) -> Tensor:
        """The input, projected where the shape changes."""
        return x if self.downsample is None else self.downsample(x)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Branch and shortcut; what they have in common is computed once."""
        return self.branch(x), self.shortcut(x)

    def last_affine(self) -> nn.Module:
        """The branch's last layer: its weight and bias, divided by c, divide the branch by c."""
        raise NotImplementedError

    def join(self, branch: Tensor, shortcut: Tensor, in_place: bool = False) -> Tensor:
        """The block's output from its (recalibrated) branch, overwritten if asked, and shortcut."""
        branch = self.drop_path(branch)
        return self.relu(branch.add_(shortcut) if in_place else branch + shortcut)

    def forward(
        self,
        x: Tensor,
        attention: Attention | None = None,
        state: State = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        def inner(x: Tensor, state: State) -> tuple[Tensor, State]:
            branch, shortcut = self.split(x)
            if scale is not None:
                branch = branch * scale[:, None, None].to(branch.dtype)
            if attention is not None:
                branch, state = recalibrate(attention, branch, state)
            return self.join(branch, shortcut), state

        if self.with_cp and x.requires_grad:
            return checkpoint(inner, x, state, use_reentrant=False)
        return inner(x, state)


class TicketBasicBlock(_AttendedBlock, BasicBlock):
    """mmpretrain's BasicBlock with attention before the addition."""

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        return self.norm2(self.conv2(out))

    def last_affine(self) -> nn.Module:
        return self.norm2


class TicketBottleneck(_AttendedBlock, Bottleneck):
    """mmpretrain's Bottleneck with attention before the addition."""

    def branch(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        out = self.relu(self.norm2(self.conv2(out)))
        return self.norm3(self.conv3(out))

    def last_affine(self) -> nn.Module:
        return self.norm3


class TicketResNeXtBottleneck(TicketBottleneck, resnext.Bottleneck):
    """mmpretrain's ResNeXt Bottleneck with attention before the addition."""


class _PreActivationBlock(_AttendedBlock):
    """BatchNorm and ReLU come before each convolution: ``shortcut + attention(branch)``.

    He et al. 2016, arXiv 1603.05027. The branch ends in a convolution. A projection takes what the
    branch's first convolution takes, the activated input, and has no BatchNorm.
    """

    in_channels: int
    mid_channels: int
    norm_cfg: dict[str, Any]
    norm1_name: str
    norm3_name: str

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_norm(self.norm1_name, self.in_channels)
        if isinstance(self.downsample, nn.Sequential):
            self.downsample = self.downsample[:-1]  # ResLayer's ends in a BatchNorm

    def _set_norm(self, name: str, channels: int) -> None:
        self.add_module(name, build_norm_layer(self.norm_cfg, channels)[1])

    def activate(self, x: Tensor) -> Tensor:
        """The block's first BatchNorm and ReLU."""
        return self.relu(self.norm1(x))

    def convolve(self, activated: Tensor) -> Tensor:
        """The branch from its first convolution on."""
        raise NotImplementedError

    def branch(self, x: Tensor) -> Tensor:
        return self.convolve(self.activate(x))

    def shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(self.activate(x))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Activated once: in training a BatchNorm would count the batch twice.
        activated = self.activate(x)
        shortcut = x if self.downsample is None else self.downsample(activated)
        return self.convolve(activated), shortcut

    def join(self, branch: Tensor, shortcut: Tensor, in_place: bool = False) -> Tensor:
        branch = self.drop_path(branch)
        return branch.add_(shortcut) if in_place else branch + shortcut


class TicketPreActivationBasicBlock(_PreActivationBlock, BasicBlock):
    """Two 3x3 convolutions, each after BatchNorm and ReLU, and attention before the addition."""

    def convolve(self, activated: Tensor) -> Tensor:
        return self.conv2(self.relu(self.norm2(self.conv1(activated))))

    def last_affine(self) -> nn.Module:
        return self.conv2


class TicketPreActivationBottleneck(_PreActivationBlock, Bottleneck):
    """1x1, 3x3 and 1x1 convolutions, each after BatchNorm and ReLU, and attention at their end."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_norm(self.norm3_name, self.mid_channels)

    def convolve(self, activated: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.norm2(self.conv1(activated))))
        return self.conv3(self.relu(self.norm3(out)))

    def last_affine(self) -> nn.Module:
        return self.conv3
