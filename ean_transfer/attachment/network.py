"""What the toolkit asks of any network, a ticket and a mask, and how to find them in a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import Mask


class MaskableNetwork(ABC):
    """Base of networks whose connections are chosen by a mask.

    Attributes:
        ticket: The ticket that the network was built with.
    """

    ticket: Ticket

    @property
    @abstractmethod
    def mask(self) -> Mask:
        """The connections that the next forward uses, one truth value per block."""

    @abstractmethod
    def set_mask(self, mask: Sequence[bool | int] | Ticket) -> None:
        """Choose the connections that the next forwards use, among those that were built.

        Args:
            mask: One truth value per block, all stages in order, or a ticket.

        Raises:
            TicketError: The length is not the number of blocks.
            ConfigError: A connection was not built (build with ticket ``"full"``).
        """


def is_wrapper(model: nn.Module) -> bool:
    """Whether a module wraps a model to train it on several devices.

    As mmengine's ``is_model_wrapper``, whose import takes longer than that of torch.
    """
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    return isinstance(model, (*wrappers, *MODEL_WRAPPERS.module_dict.values()))


def unwrapped(model: nn.Module) -> Any:
    """The model itself, without a distributed wrapper."""
    return model.module if is_wrapper(model) else model


def find_backbone(model: nn.Module) -> Any:
    """The maskable network inside a model, wherever it sits.

    Raises:
        ConfigError: The model has none.
    """
    for network in _maskable_networks(model):
        return network
    raise ConfigError(
        f"the {type(unwrapped(model)).__name__} has no ticketed backbone: set model.backbone to "
        "one, such as TicketResNet or TicketResNetCIFAR"
    )


def find_ticket(model: nn.Module) -> Ticket | None:
    """The ticket of the maskable network inside a model, ``None`` if it has no such network."""
    return next((network.ticket for network in _maskable_networks(model)), None)


def _maskable_networks(model: nn.Module) -> Iterator[MaskableNetwork]:
    return (module for module in model.modules() if isinstance(module, MaskableNetwork))


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Yield with the model in eval mode; on exit its former mode is restored."""
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)
