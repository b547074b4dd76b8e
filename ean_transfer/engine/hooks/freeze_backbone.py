"""Trains the head and the attention first, the backbone later or never."""

from __future__ import annotations

from typing import Any

from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import EpochBasedTrainLoop, Runner
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer.attachment.network import backbone_of
from ean_transfer.attention import Attention
from ean_transfer.attention.reparameterised import ASR
from ean_transfer.io.checked import Positive, checked_arguments


@HOOKS.register_module()
class FreezeBackboneHook(Hook):
    """Keeps the backbone as it is, with its BatchNorm statistics, and then trains it as well.

    The backbone's attention is always trained: connected to a pretrained network it is as new as
    the head is.

    Args:
        until: Number of epochs, or of iterations in a training that counts these, for which the
            backbone is frozen; ``None``: for the whole training.
    """

    priority = "ABOVE_NORMAL"  # before FreezeNormHook measures what is in training mode

    @checked_arguments
    def __init__(self, until: Positive | None = None) -> None:
        self.until = until
        self._frozen: list[nn.Parameter] = []
        self._norms: list[_BatchNorm] = []

    def before_train(self, runner: Runner) -> None:
        # The optimiser has all parameters by now, and leaves alone what gets no gradient.
        self._frozen, self._norms = _own_parts(backbone_of(runner.model))
        if self._is_on(runner):
            _set_trained(self._frozen, False)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        if self._is_on(runner):
            for norm in self._norms:  # each time, since loops put the whole model into training
                norm.eval()
        elif self._frozen:
            _set_trained(self._frozen, True)
            self._frozen = []

    def after_train(self, runner: Runner) -> None:
        _set_trained(self._frozen, True)

    def _is_on(self, runner: Runner) -> bool:
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        return self.until is None or (runner.epoch if by_epoch else runner.iter) < self.until


def _own_parts(backbone: nn.Module) -> tuple[list[nn.Parameter], list[_BatchNorm]]:
    """Parameters that are trained and BatchNorm layers, without those of attention."""
    attention = [module for module in backbone.modules() if isinstance(module, (Attention, ASR))]
    other = {part for module in attention for part in (*module.parameters(), *module.modules())}
    parameters = [p for p in backbone.parameters() if p.requires_grad and p not in other]
    norms = [m for m in backbone.modules() if isinstance(m, _BatchNorm) and m not in other]
    return parameters, norms


def _set_trained(parameters: list[nn.Parameter], trained: bool) -> None:
    for parameter in parameters:
        parameter.requires_grad_(trained)
