"""Training a supernet: random masks, what it must have, seeds that all processes share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mmengine.dist import broadcast_object_list
from torch import nn

from ean_transfer.attachment.network import MaskableNetwork, find_backbone
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import Natural, Share, checked_arguments
from ean_transfer.supernet.order import ForwardOrder
from ean_transfer.ticket.mask import Mask, random_mask


class MaskSampler:
    """Trains a supernet in a loop of one's own: one random mask for each batch.

    ::

        with MaskSampler(model) as sampler:
            for images, labels in loader:
                sampler.step()
                loss(model(images), labels).backward()
                ...

    At the end every connection is in use again. "Efficient Attention Network" (arXiv 2011.14058),
    step 1.

    Args:
        model: A model with every connection: its maskable network was built, or attached, with
            ticket ``"full"``.
        probability: Probability of each block to be connected, in [0, 1].
        seed: Seed of the masks; equal on all processes of a distributed training.

    Attributes:
        iteration: Number of masks drawn; set it to resume a training.

    Raises:
        ConfigError: The probability is outside [0, 1], or the model is no supernet.
    """

    @checked_arguments
    def __init__(self, model: nn.Module, probability: Share = 0.5, seed: Natural = 0) -> None:
        self.network = find_backbone(model)
        require_supernet(self.network, "a supernet needs every connection, but its")
        self.probability = probability
        self.seed = seed
        self.iteration = 0
        self._order: ForwardOrder | None = None

    def step(self) -> Mask:
        """Set the next random mask, and return it.

        The first forward after it is refused (ConfigError) if the blocks run in another order than
        that of the mask's bits.
        """
        if self._order is None:
            self._order = ForwardOrder(self.network)
            self._order.watch()
        blocks = self.network.ticket.num_blocks
        mask = random_mask(blocks, self.seed, self.iteration, self.probability)
        self.network.set_mask(mask)
        self.iteration += 1
        return mask

    def close(self) -> None:
        """Use every connection again."""
        if self._order is not None:
            self._order.stop()
        self.network.set_mask(self.network.ticket)

    def __enter__(self) -> MaskSampler:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def shared_seed(seed: int) -> int:
    """The first process's seed, for draws that must be equal on all processes."""
    seeds = [seed]
    broadcast_object_list(seeds)
    return seeds[0]


def require_supernet(network: MaskableNetwork, what: str) -> None:
    """Refuse a network that lacks connections.

    Args:
        network: The network that must have every connection.
        what: Beginning of the message: who needs the connections, and whose network it is.

    Raises:
        ConfigError: A connection was not built.
    """
    if network.ticket.sparsity > 0.0:
        raise ConfigError(
            f"{what} backbone has ticket {network.ticket}: "
            "build it with an attention and ticket='full'"
        )


def was_trained_with_masks(meta: Mapping[str, Any]) -> bool:
    """Whether a checkpoint's meta says that random masks trained it."""
    return "masks" in meta
