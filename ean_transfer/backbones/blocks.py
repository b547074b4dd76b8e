"""Residual blocks that call an attention between their branch and the addition."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import torch
from mmcv.cnn import build_norm_layer
from mmpretrain.models.backbones import resnext
from mmpretrain.models.backbones.resnet import BasicBlock, Bottleneck
from torch import Tensor, nn

from ean_transfer.attention import Attention
from ean_transfer.attention.base import State, adds_shortcut, recalibrate
from ean_transfer.attention.passes import becomes_graph
from ean_transfer.attention.recompute import recomputed
from ean_transfer.errors import ConfigError


class _AttendedBlock(nn.Module, ABC):
    """Base of residual blocks: ``relu(shortcut(x) + attention(branch(x)))``.

    Mixed into mmpretrain's blocks, which hold the layers. The attention is an argument and not a
    layer of the block, so that one module can serve a whole stage. The state goes in and comes out
    by value, so that recomputation under activation checkpointing gives the same result.

    Attributes:
        with_cp: Whether nothing in the block is kept for the backward pass but its input.
        lean: Whether nothing is kept of the branch's last normalisation and what follows up to the
            addition, so that a block with attention keeps as much as one without.
    """

    with_cp: bool
    lean = False
    conv1: nn.Module
    conv2: nn.Module
    conv3: nn.Module
    norm1: nn.Module
    norm2: nn.Module
    norm3: nn.Module
    relu: nn.Module
    drop_path: nn.Module
    downsample: nn.Module | None

    @abstractmethod
    def body(self, x: Tensor) -> Tensor:
        """The residual branch up to its last normalisation."""

    def normalise(self, z: Tensor) -> Tensor:
        """The residual branch, from what :meth:`body` returns."""
        return self.last_layer()(z)

    def shortcut(self, x: Tensor) -> Tensor:
        """The input, projected where the shape changes."""
        return x if self.downsample is None else self.downsample(x)

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """What :meth:`body` and :meth:`shortcut` return; their common layers are computed once."""
        return self.body(x), self.shortcut(x)

    @abstractmethod
    def last_layer(self) -> nn.Module:
        """The branch's last layer."""

    def last_affine(self) -> nn.Module:
        """The branch's last layer, whose weight and bias take in a factor of the branch.

        Raises:
            ConfigError: The layer has no weight.
        """
        layer = self.last_layer()
        if getattr(layer, "weight", None) is None:
            raise ConfigError(
                "the last layer of a branch takes in what init='identity' divides by and what is "
                "folded, and has no weight here (norm_cfg with affine=False, or a BatchNorm that "
                "--optimize has folded: take the network as it was before)"
            )
        return layer

    def join(self, branch: Tensor, shortcut: Tensor, in_place: bool = False) -> Tensor:
        """The block's output from its (recalibrated) branch and shortcut.

        Args:
            branch: The branch (N, C, H, W).
            shortcut: The shortcut, of the same shape.
            in_place: Whether the branch's memory may be overwritten.
        """
        branch = self.drop_path(branch)
        return self.end(branch.add_(shortcut) if in_place else branch + shortcut)

    def end(self, total: Tensor) -> Tensor:
        """The block's output from the sum of branch and shortcut."""
        return self.relu(total)

    def attend(
        self, attention: Attention, branch: Tensor, state: State, shortcut: Tensor
    ) -> tuple[Tensor, State]:
        """The block's output from a branch that is to be recalibrated, and the next state.

        In inference, the branch's memory may be overwritten.
        """
        if not self.training and adds_shortcut(attention):
            total, state = attention(branch, state, shortcut)
            return self.end(total), state
        branch, state = recalibrate(attention, branch, state)
        # Attention may keep its output for the backward pass, or a view of it as its state, and so
        # may hooks on it.
        is_needed = branch.requires_grad or becomes_graph()
        free = state is None and not is_needed and not attention._forward_hooks
        return self.join(branch, shortcut, free), state

    def forward(
        self,
        x: Tensor,
        attention: Attention | None = None,
        state: State = None,
        scale: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """The block's output, and the attention's next state.

        Args:
            x: The input (N, C, H, W).
            attention: The attention to call; none for a block that is not connected.
            state: State of the stage's previous connected block.
            scale: Channel weights (C,) of re-parameterised attention.
        """

        def scaled(z: Tensor) -> Tensor:
            branch = self.normalise(z)
            return branch if scale is None else branch * scale[:, None, None].to(branch.dtype)

        def recalibrated(z: Tensor, state: State) -> tuple[Tensor, State]:
            branch = scaled(z)
            return (branch, state) if attention is None else recalibrate(attention, branch, state)

        def inner(x: Tensor, state: State) -> tuple[Tensor, State]:
            z, shortcut = self.split(x)
            if lean:
                branch, state = recomputed(recalibrated, modules, z, state)
                return self.join(branch, shortcut), state
            if attention is None:
                return self.join(scaled(z), shortcut, in_place=True), state
            return self.attend(attention, scaled(z), state, shortcut)

        modules = [self] if attention is None else [self, attention]
        attends = attention is not None or scale is not None
        lean = self.lean and attends and not self.with_cp and torch.is_grad_enabled()
        if self.with_cp and x.requires_grad:
            return recomputed(inner, modules, x, state)
        return inner(x, state)


class TicketBasicBlock(_AttendedBlock, BasicBlock):
    """mmpretrain's BasicBlock with attention before the addition."""

    def body(self, x: Tensor) -> Tensor:
        return self.conv2(self.relu(self.norm1(self.conv1(x))))

    def last_layer(self) -> nn.Module:
        return self.norm2


class TicketBottleneck(_AttendedBlock, Bottleneck):
    """mmpretrain's Bottleneck with attention before the addition."""

    def body(self, x: Tensor) -> Tensor:
        out = self.relu(self.norm1(self.conv1(x)))
        return self.conv3(self.relu(self.norm2(self.conv2(out))))

    def last_layer(self) -> nn.Module:
        return self.norm3


class TicketResNeXtBottleneck(TicketBottleneck, resnext.Bottleneck):
    """mmpretrain's ResNeXt Bottleneck with attention before the addition."""


class _PreActivationBlock(_AttendedBlock):
    """BatchNorm and ReLU come before each convolution: ``shortcut + attention(branch)``.

    He et al. 2016, arXiv 1603.05027. The branch ends in a convolution. A projection takes the
    activated input, as the branch's first convolution does, and has no BatchNorm.
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

    @abstractmethod
    def convolve(self, activated: Tensor) -> Tensor:
        """The branch from its first convolution on."""

    def body(self, x: Tensor) -> Tensor:
        return self.convolve(self.activate(x))

    def normalise(self, z: Tensor) -> Tensor:
        return z  # the branch ends in its last convolution

    def shortcut(self, x: Tensor) -> Tensor:
        return x if self.downsample is None else self.downsample(self.activate(x))

    def split(self, x: Tensor) -> tuple[Tensor, Tensor]:
        # Activated once: in training a second call would count the batch twice in the BatchNorm.
        activated = self.activate(x)
        shortcut = x if self.downsample is None else self.downsample(activated)
        return self.convolve(activated), shortcut

    def end(self, total: Tensor) -> Tensor:
        return total  # the next block begins with the activation


class TicketPreActivationBasicBlock(_PreActivationBlock, BasicBlock):
    """Two 3x3 convolutions, each after BatchNorm and ReLU, and attention before the addition."""

    def convolve(self, activated: Tensor) -> Tensor:
        return self.conv2(self.relu(self.norm2(self.conv1(activated))))

    def last_layer(self) -> nn.Module:
        return self.conv2


class TicketPreActivationBottleneck(_PreActivationBlock, Bottleneck):
    """1x1, 3x3 and 1x1 convolutions, each after BatchNorm and ReLU, and attention before the
    addition."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._set_norm(self.norm3_name, self.mid_channels)

    def convolve(self, activated: Tensor) -> Tensor:
        out = self.conv2(self.relu(self.norm2(self.conv1(activated))))
        return self.conv3(self.relu(self.norm3(out)))

    def last_layer(self) -> nn.Module:
        return self.conv3
