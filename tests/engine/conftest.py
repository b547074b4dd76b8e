"""Fixtures of the engine's tests: a ticket, and a classifier trained with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.training import train
from ean_transfer.ticket import Ticket


@pytest.fixture
def ticket() -> Ticket:
    return Ticket.from_bits("10 01 00", "resnet14_cifar")


@pytest.fixture
def trained(toy, tmp_path: Path, ticket: Ticket) -> Path:
    """The checkpoint of a toy classification."""
    cfg = toy("classification/toy")
    set_ticket(cfg, ticket)
    train(cfg, tmp_path / "classification", quiet=True)
    return tmp_path / "classification" / "epoch_1.pth"
