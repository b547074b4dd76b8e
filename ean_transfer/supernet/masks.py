"""Masks on a supernet: drawing one for every training iteration, and finding the backbone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from mmengine.dist import broadcast_object_list
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.registry import HOOKS
from mmengine.runner import Runner
from torch import nn

from ean_transfer.backbones import TicketedResNet
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket

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


def shared_seed(seed: int) -> int:
    """The first process's seed, for what all processes must draw alike."""
    seeds = [seed]
    broadcast_object_list(seeds)
    return seeds[0]


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
        "one, such as TicketResNet or TicketResNetCIFAR"
    )


def find_ticket(model: nn.Module) -> Ticket | None:
    """The ticket of the ticketed backbone inside a model, ``None`` if it has no such backbone."""
    networks = (module for module in model.modules() if isinstance(module, TicketedResNet))
    return next((network.ticket for network in networks), None)


def random_mask(num_blocks: int, seed: int, index: int, probability: float = 0.5) -> Mask:
    """The ``index``-th mask of a seeded stream, each bit 1 with the given probability.

    Every mask has a generator of its own, so that a resumed training, or another rank, draws the
    same one.
    """
    draws = np.random.default_rng([seed, index]).random(num_blocks)
    return tuple(bool(draw < probability) for draw in draws)


def require_supernet(backbone: TicketedResNet, what: str) -> None:
    """Refuse a backbone that lacks connections.

    Args:
        backbone: Of the would-be supernet.
        what: The message's beginning: who needs all connections, and whose the backbone is.

    Raises:
        ConfigError: If a connection was not built.
    """
    if backbone.ticket.sparsity > 0.0:
        raise ConfigError(
            f"{what} backbone has ticket {backbone.ticket}: "
            "build it with an attention and ticket='full'"
        )


CYCLES = ("none", "full", "random", "complement")


@HOOKS.register_module()
class RandomMaskHook(Hook):
    """Trains a supernet: every iteration has one mask for the whole batch, on all ranks the same.

    The iterations go through ``cycle`` again and again. The papers' is ``("random",)`` ("Efficient
    Attention Network", arXiv 2011.14058, step 1); ``("random", "complement")`` connects every block
    equally often in every two iterations (fair sampling); ``("none", "full", "random",
    "complement")`` is a sandwich. To take one optimiser step for a whole cycle, accumulate its
    gradients: ``optim_wrapper.accumulative_counts=len(cycle)``.

    Every checkpoint's meta says so, as ``masks``: nothing else tells a supernet from the same
    network trained as it stands.

    Args:
        probability: Of a block of a random mask to be connected, in [0, 1].
        seed: Seed of the masks; the run's by default.
        cycle: Masks in turn: ``"none"``, ``"full"``, ``"random"``, and ``"complement"``, which
            connects just the blocks that the last random mask did not.

    Raises:
        ConfigError: For a probability outside [0, 1] or a cycle of other words.
    """

    def __init__(
        self,
        probability: float = 0.5,
        seed: int | None = None,
        cycle: Sequence[str] = ("random",),
    ) -> None:
        if not 0.0 <= probability <= 1.0:
            raise ConfigError(f"probability is in [0, 1], found {probability}")
        if isinstance(cycle, str) or not cycle or set(cycle) - set(CYCLES):
            raise ConfigError(f"a cycle is a list of {', '.join(CYCLES)}, found {cycle!r}")
        if "complement" in cycle and "random" not in cycle:
            raise ConfigError(f"a complement is of a random mask, but the cycle is {cycle!r}")
        self.probability = probability
        self.seed = seed
        self.cycle = tuple(cycle)

    def mask(self, num_blocks: int, seed: int, iteration: int) -> Mask:
        """The mask of an iteration, whatever came before it."""
        kind = self.cycle[iteration % len(self.cycle)]
        if kind in ("none", "full"):
            return (kind == "full",) * num_blocks
        index = iteration
        if kind == "complement":  # of the last random one
            while index > 0 and self.cycle[index % len(self.cycle)] != "random":
                index -= 1
        drawn = random_mask(num_blocks, seed, index, self.probability)
        return tuple(not bit for bit in drawn) if kind == "complement" else drawn

    def before_train(self, runner: Runner) -> None:
        require_supernet(find_backbone(runner.model), "a supernet needs every connection, but its")
        self._common_seed = shared_seed(runner.seed if self.seed is None else self.seed)

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: Any = None) -> None:
        backbone = find_backbone(runner.model)
        backbone.set_mask(self.mask(backbone.ticket.num_blocks, self._common_seed, runner.iter))

    def after_train(self, runner: Runner) -> None:
        backbone = find_backbone(runner.model)
        backbone.set_mask(backbone.ticket)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict[str, Any]) -> None:
        checkpoint["meta"]["masks"] = {
            "probability": self.probability,
            "seed": self._common_seed,
            "cycle": list(self.cycle),
        }


def was_trained_with_masks(checkpoint: Mapping[str, Any]) -> bool:
    """Whether a checkpoint says that :class:`RandomMaskHook`, or gates, trained it."""
    return "masks" in checkpoint.get("meta", {}) or "gates" in checkpoint
