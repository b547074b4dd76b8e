"""Conversions that lose nothing, and the tickets derived from another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.ticket import Ticket, TicketError
from ean_transfer.ticket.architectures import EXAMPLES
from tests.ticket.strategies import patient, tickets


@patient
@given(tickets())
def test_bits_and_decimals_give_the_mask_back(ticket: Ticket) -> None:
    backbone = ticket.backbone.name
    assert Ticket.from_bits(str(ticket), backbone).mask == ticket.mask
    assert Ticket.from_bits("".join(ticket.stages), backbone).mask == ticket.mask
    assert Ticket.from_decimal(ticket.to_decimal(), backbone).mask == ticket.mask
    assert ticket.with_mask(ticket.mask).id == ticket.id


def test_decimals_are_those_of_the_papers() -> None:
    assert Ticket.load("zoo:ean-sge-resnet50").to_decimal() == (4, 11, 19, 3)
    assert Ticket.load("zoo:ean-dia-resnet50").to_decimal() == (6, 3, 50, 3)
    assert Ticket.load("zoo:ean-se-resnet50").to_decimal() == (2, 2, 51, 1)
    assert Ticket.full("resnet50").to_decimal() == (7, 15, 63, 7)


def test_conversions_say_what_does_not_fit() -> None:
    with pytest.raises(TicketError, match="unknown backbone 'vgg'"):
        Ticket.from_bits("101", "vgg")
    with pytest.raises(TicketError, match=r"resnet50 has 3-4-6-3 blocks.* 3 bits"):
        Ticket.from_bits("101", "resnet50")
    with pytest.raises(TicketError, match=r"resnet50 has 4 stages.*found 1, 2, 3$"):
        Ticket.from_decimal((1, 2, 3), "resnet50")
    with pytest.raises(TicketError, match=r"from 0 to 7, 15, 63, 7, found 8, 0"):
        Ticket.from_decimal((8, 0, 0, 0), "resnet50")
    with pytest.raises(TicketError, match="asr 1 has connections to fold, .*: use bits"):
        Ticket.from_bits("1", "custom", blocks=(1,)).with_asr().to_decimal()
    with pytest.raises(TicketError, match="found the text '101'"):
        Ticket.from_mask("101", "custom", blocks=(3,))
    with pytest.raises(TicketError, match=r"found the text \['1', '0', '1'\]"):
        Ticket.from_mask(list("101"), "custom", blocks=(3,))
    with pytest.raises(TicketError, match="sparsity.* found 1.1"):
        Ticket.random("resnet50", sparsity=1.1)


def test_backbone_of_ones_own_needs_its_blocks() -> None:
    ticket = Ticket.from_bits("10 1", "mine", blocks=(2, 1))
    assert ticket.backbone.blocks == (2, 1)
    assert Ticket.from_json(ticket.to_json()) == ticket


@patient
@given(st.sampled_from(EXAMPLES), st.floats(0, 1), st.integers(0, 2**32))
def test_random_has_the_nearest_sparsity_and_follows_its_seed(
    backbone: str, sparsity: float, seed: int
) -> None:
    ticket = Ticket.random(backbone, sparsity=sparsity, seed=seed)
    assert abs(ticket.sparsity - sparsity) <= 0.5 / ticket.num_blocks + 1e-9
    assert Ticket.random(backbone, sparsity=sparsity, seed=seed) == ticket


def test_random_draws_differ_with_the_seed_and_stay_the_same_in_every_release() -> None:
    assert len({Ticket.random("resnet50", seed=seed).id for seed in range(10)}) > 5
    assert str(Ticket.random("resnet50", seed=3)) == "011 0010 111000 011"


@patient
@given(tickets())
def test_complement_swaps_every_block_and_twice_is_the_same_network(ticket: Ticket) -> None:
    swapped = ticket.complement()
    assert all(a != b for a, b in zip(ticket.mask, swapped.mask, strict=True))
    assert swapped.complement().id == ticket.id


def test_connections_to_fold_have_no_complement() -> None:
    ticket = Ticket.from_bits("10 1", "mine", "SE", blocks=(2, 1))
    with pytest.raises(TicketError, match=r"00 0 asr 10 1 has connections to fold.*folded\(\)"):
        ticket.with_asr().complement()
    assert ticket.with_asr(before=True).folded().complement().mask == (False, True, False)


def test_shuffled_is_another_ticket_as_sparse() -> None:
    ticket = Ticket.from_bits("11 00", "custom", blocks=(2, 2), sharing="block")
    drawn = [ticket.shuffled(seed) for seed in range(40)]
    assert {str(other) for other in drawn} == {"10 10", "10 01", "01 10", "01 01", "00 11"}
    assert all(other.sharing == "block" for other in drawn)
    assert str(ticket.shuffled(7)) == str(ticket.shuffled(7))
    with pytest.raises(TicketError, match="all blocks alike"):
        Ticket.none("resnet20_cifar").shuffled()


def test_shuffled_moves_what_is_to_be_folded_with_its_block() -> None:
    ticket = Ticket.from_bits("110 0", "custom", blocks=(3, 1), asr=("011", "0"))
    for seed in range(10):
        other = ticket.shuffled(seed)
        pairs = zip("".join(other.stages), "".join(other.asr), strict=True)
        assert sorted(pairs) == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
        assert str(other) != str(ticket)
