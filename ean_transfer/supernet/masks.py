"""Masks on a supernet: drawing one for every training iteration, and finding the backbone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ean_transfer.backbones import TicketedResNet
from ean_transfer.errors import ConfigError

Mask = tuple[bool, ...]
"""One truth value a residual block: is it connected?"""


def bits_of(mask: Sequence[bool]) -> str:
    """A mask as text, one ``0`` or ``1`` a block."""
    return "".join("1" if bit else "0" for bit in mask)


def mask_of(bits: str) -> Mask:
    """The mask that :func:`bits_of` wrote."""
    return tuple(bit == "1" for bit in bits)


def unwrapped(model: nn.Module) -> Any:
    """The model itself, without a distributed wrapper."""
    return model.module if is_model_wrapper(model) else model


def find_backbone(model: nn.Module) -> TicketedResNet:
    """The ticketed backbone inside a model, wherever it sits.

    Raises:
        ConfigError: If the model has no ticketed backbone.
    """
    for module in model.modules():
        if isinstance(module, TicketedResNet):
            return module
    raise ConfigError(
        f"the {type(unwrapped(model)).__name__} has no ticketed backbone: set model.backbone to "
        "TicketResNet or TicketResNetCIFAR"
    )


def random_mask(num_blocks: int, seed: int, index: int, probability: float = 0.5) -> Mask:
    """The ``index``-th mask of a seeded stream, each bit 1 with the given probability.

    Every mask has a generator of its own, so that a resumed training, or another rank, draws the
    same one.
    """
    draws = np.random.default_rng([seed, index]).random(num_blocks)
    return tuple(bool(draw < probability) for draw in draws)


@HOOKS.register_module()
class RandomMaskHook(Hook):
    """Trains a supernet: every iteration draws one mask for the whole batch, on all ranks the same.

    Source: "Efficient Attention Network" (arXiv 2011.14058), step 1.

    Args:
        probability: Of a block to be connected, in [0, 1].
        seed: Seed of the masks; the run's by default.
    """

    def __init__(self, probability: float = 0.5, seed: int | None = None) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(f"probability is in [0, 1], found {probability}")
        self.probability = probability
        self.seed = seed

    def before_train(self, runner: Runner) -> None:
        backbone = find_backbone(runner.model)
        if backbone.ticket.sparsity > 0.0:
            raise ConfigError(
                f"a supernet needs every connection, but its backbone has ticket "
                f"{backbone.ticket}: build it with an attention and ticket='full'"
            )

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        backbone = find_backbone(runner.model)
        num_blocks = backbone.ticket.num_blocks
        seed = runner.seed if self.seed is None else self.seed
        backbone.set_mask(random_mask(num_blocks, seed, runner.iter, self.probability))

    def after_train(self, runner: Runner) -> None:
        backbone = find_backbone(runner.model)
        backbone.set_mask(backbone.ticket)
