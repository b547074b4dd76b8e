"""What the toolkit asks of any network, a ticket and a mask, and how to find them in a model."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from mmengine.registry import MODEL_WRAPPERS
from torch import nn

from ean_transfer.attention import Attention
from ean_transfer.attention.base import State
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.display import described
from ean_transfer.ticket.mask import Mask, mask_of

_Model = TypeVar("_Model", bound=nn.Module)


class MaskableNetwork(ABC):
    """Base of networks whose connections are chosen by a mask: all that the toolkit asks of one.

    Its *places* are the blocks that can carry attention. The output of a place depends on the
    place's bit; nothing that is computed before the place does.

    Attributes:
        ticket: The ticket that the network was built with.
        init: ``"identity"`` if its attention does not change a pretrained network's output at
            first, else ``"default"``.
        runs_in_steps: Whether its forward can be run step by step from outside: ``stem_forward``,
            and each block's ``split`` and ``join``.
    """

    ticket: Ticket
    init = "default"
    runs_in_steps = False

    @property
    def backbone_name(self) -> str:
        """Name of the network in tickets, e.g. ``"resnet50"``."""
        return self.ticket.backbone.name

    @property
    @abstractmethod
    def network(self) -> nn.Module:
        """The module that is run with images (N, 3, H, W)."""

    @property
    @abstractmethod
    def places(self) -> list[nn.Module]:
        """The module of each block that was built, in forward order.

        The first bits of a mask are theirs; bits that are left over belong to blocks that were not
        built.
        """

    @property
    @abstractmethod
    def attentions(self) -> list[Attention | None]:
        """The attention that each place calls if its bit is 1; ``None``: it has none to call."""

    @property
    def states(self) -> list[list[State]]:
        """Attention state that is kept between calls, one list per stage, changed in place.

        A forward reads nothing of an earlier one. So whoever replays a part of a forward clears the
        values (sets them to ``None``) before each forward, and puts back those that the part wrote.
        Empty where the state is passed by arguments.
        """
        return []

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
            TicketError: The length is not the number of blocks, or the mask is text.
            ConfigError: A connection was not built (build with ticket ``"full"``).
        """

    def checked_mask(self, mask: Sequence[bool | int] | Ticket) -> Mask:
        """A mask or a ticket's mask as truth values, one per block.

        Raises:
            TicketError: The length is not the number of blocks, or the mask is text.
        """
        bits = mask.mask if isinstance(mask, Ticket) else mask
        is_text = any(isinstance(bit, str) for bit in bits)  # all of it would be true, also "0"
        if is_text or len(bits) != self.ticket.num_blocks:
            what = f"the text {bits!r:.40}" if is_text else f"{len(bits)} values"
            raise TicketError(
                f"{self.backbone_name} has {self.ticket.num_blocks} blocks: expected one truth "
                f"value per block, found {what}"
            )
        return tuple(map(bool, bits))

    def require_ticket(self, ticket: Ticket, source: str) -> None:
        """Refuse weights of another ticket, but for a plain network's where attention starts as the
        identity.

        Args:
            ticket: The ticket that the weights were trained with.
            source: Where the weights are from, for the message.

        Raises:
            TicketError: The two tickets make different networks.
        """
        # By its id, in which places do not count: a plain network has attention at none of them.
        plain = self.ticket.with_mask((False,) * self.ticket.num_blocks)
        is_start = ticket.id == plain.id
        if ticket.id != self.ticket.id and not (is_start and self.init == "identity"):
            raise TicketError(
                f"{source} was trained with ticket {described(ticket)}, but the network has "
                f"{described(self.ticket)}: build it with the checkpoint's ticket, or train it anew"
            )


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


def backbone_of(model: nn.Module) -> nn.Module:
    """The backbone of a model: its part of that name, or its network with attention.

    Raises:
        ConfigError: The model has neither.
    """
    backbone = getattr(unwrapped(model), "backbone", None)
    return backbone if isinstance(backbone, nn.Module) else find_backbone(model).network


def find_ticket(model: nn.Module) -> Ticket | None:
    """The ticket of the maskable network inside a model, ``None`` if it has no such network."""
    return next((network.ticket for network in _maskable_networks(model)), None)


def _maskable_networks(model: nn.Module) -> Iterator[MaskableNetwork]:
    for module in model.modules():
        # A ticket without connections attaches no module to the model.
        for part in (module, module.__dict__.get("attention")):
            if isinstance(part, MaskableNetwork):
                yield part


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Yield with the model in eval mode; on exit each of its modules has its former mode."""
    modes = [(module, module.training) for module in model.modules()]
    was_training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(was_training)  # where modules do more than note it
        for module, mode in modes:  # parts may be frozen in eval mode
            module.training = mode


def set_mask(model: nn.Module, mask: Sequence[bool | int] | str | Ticket) -> None:
    """Choose the connections that a model with attention uses in its next forwards.

    Args:
        model: A model with a maskable network in it.
        mask: One truth value per block, all stages in order; text such as ``"110 01"``; or a
            ticket.

    Raises:
        ConfigError: The model has no maskable network, a connection was not built, or the model is
            compiled.
        TicketError: The length is not the number of blocks.
    """
    if isinstance(mask, str):
        bits = mask.replace(" ", "")
        if set(bits) - {"0", "1"}:
            raise TicketError(f"a mask: expected 0, 1 and spaces, found {mask!r:.40}")
        mask = mask_of(bits)
    find_backbone(model).set_mask(mask)


@contextmanager
def masked(model: _Model, mask: Sequence[bool | int] | str | Ticket) -> Iterator[_Model]:
    """Yield a model under a mask, see :func:`set_mask`; on exit it has its former mask."""
    before = find_backbone(model).mask
    set_mask(model, mask)
    try:
        yield model
    finally:
        set_mask(model, before)
