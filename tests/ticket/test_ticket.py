"""The ticket: conversions that lose nothing, an id that is the network's, errors in one line."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ean_transfer.ticket import Ticket, TicketError, zoo
from ean_transfer.ticket.architectures import EXAMPLES, blocks_a_stage

# No deadline: a machine that is busy with something else must not fail a test.
patient = settings(deadline=None, max_examples=50)

NUMBERS = st.integers(-(2**40), 2**40) | st.floats(allow_nan=False, allow_infinity=False)
SCALARS = st.booleans() | NUMBERS | st.text(max_size=10)
JSON_VALUES = st.recursive(
    SCALARS | st.none(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def tickets(draw: st.DrawFn) -> Ticket:
    """Any valid ticket of any known backbone."""
    backbone = draw(st.sampled_from(EXAMPLES))
    blocks = sum(blocks_a_stage(backbone) or ())
    return Ticket.from_mask(
        draw(st.lists(st.booleans(), min_size=blocks, max_size=blocks)),
        backbone,
        attention=draw(st.sampled_from(["SE", "SGE", "DIA"])),
        attention_options=draw(st.dictionaries(st.text(), SCALARS, max_size=2)),
        sharing=draw(st.sampled_from(["stage", "block"])),
        provenance=draw(st.dictionaries(st.text(), JSON_VALUES, max_size=3)),
    )


NESTED: dict[str, Any] = {}
for _ in range(400):  # deeper than can be written, and not than can be read
    NESTED = {"in": NESTED}


def changed_json(**fields: Any) -> str:
    """A good ticket's text with some fields replaced, or removed where the value is ``...``."""
    data = json.loads(Ticket.full("resnet20_cifar").to_json()) | fields
    return json.dumps({key: value for key, value in data.items() if value is not ...})


# -- conversions -----------------------------------------------------------------------------------


@patient
@given(tickets())
def test_bits_and_decimals_give_the_mask_back(ticket: Ticket) -> None:
    backbone = ticket.backbone.name
    assert Ticket.from_bits(str(ticket), backbone).mask == ticket.mask
    assert Ticket.from_bits("".join(ticket.stages), backbone).mask == ticket.mask
    assert Ticket.from_decimal(ticket.to_decimal(), backbone).mask == ticket.mask


@patient
@given(tickets())
def test_json_gives_the_ticket_back(ticket: Ticket) -> None:
    again = Ticket.from_json(ticket.to_json())
    assert again == ticket
    assert again.id == ticket.id


def test_file_gives_the_ticket_back(tmp_path: Path) -> None:
    ticket = Ticket.random("resnet50", "SGE", seed=3)
    path = ticket.save(tmp_path / "made" / "on the way" / "ticket.json")
    assert Ticket.load(path) == ticket
    assert Ticket.load(str(path)) == ticket


def test_decimals_are_those_of_the_papers() -> None:
    assert Ticket.load("zoo:ean-sge-resnet50").to_decimal() == (4, 11, 19, 3)
    assert Ticket.load("zoo:ean-dia-resnet50").to_decimal() == (6, 3, 50, 3)
    assert Ticket.load("zoo:ean-se-resnet50").to_decimal() == (2, 2, 51, 1)
    assert Ticket.full("resnet50").to_decimal() == (7, 15, 63, 7)


def test_zoo_tickets_are_valid_and_only_se_is_unconfirmed() -> None:
    unconfirmed = [name for name, ticket in zoo().items() if not ticket.provenance["confirmed"]]
    assert unconfirmed == ["ean-se-resnet50"]


@patient
@given(tickets())
def test_complement_swaps_every_block_and_twice_is_the_same_network(ticket: Ticket) -> None:
    swapped = ticket.complement()
    assert all(a != b for a, b in zip(ticket.mask, swapped.mask, strict=True))
    assert swapped.complement().id == ticket.id


@patient
@given(st.sampled_from(EXAMPLES), st.floats(0, 1), st.integers(0, 2**32))
def test_random_has_the_nearest_sparsity_and_follows_its_seed(
    backbone: str, sparsity: float, seed: int
) -> None:
    ticket = Ticket.random(backbone, sparsity=sparsity, seed=seed)
    assert abs(ticket.sparsity - sparsity) <= 0.5 / ticket.num_blocks + 1e-9
    assert Ticket.random(backbone, sparsity=sparsity, seed=seed) == ticket


def test_random_draws_differ_with_the_seed() -> None:
    assert len({Ticket.random("resnet50", seed=seed).id for seed in range(10)}) > 5


def test_shuffled_is_another_ticket_as_sparse() -> None:
    ticket = Ticket.from_bits("11 00", "custom", blocks=(2, 2), sharing="block")
    drawn = [ticket.shuffled(seed) for seed in range(40)]
    assert {str(found) for found in drawn} == {"10 10", "10 01", "01 10", "01 01", "00 11"}
    assert all(found.sharing == "block" for found in drawn)
    assert str(ticket.shuffled(7)) == str(ticket.shuffled(7))
    with pytest.raises(TicketError, match="all blocks alike"):
        ticket.none("resnet20_cifar").shuffled()


def test_shuffled_moves_what_is_to_be_folded_with_its_block() -> None:
    ticket = Ticket.from_bits("110 0", "custom", blocks=(3, 1), asr=("011", "0"))
    for seed in range(10):
        found = ticket.shuffled(seed)
        pairs = zip("".join(found.stages), "".join(found.asr), strict=True)
        assert sorted(pairs) == [("0", "0"), ("0", "1"), ("1", "0"), ("1", "1")]
        assert str(found) != str(ticket)


def test_json_has_one_line_a_stage_and_leaves_strings_alone() -> None:
    ticket = Ticket.full("resnet50", provenance={"note": "[ 1,  2 ]", "seeds": [1, 2]})
    text = ticket.to_json()
    assert '    "1111",\n    "111111",\n' in text
    assert '"blocks": [3, 4, 6, 3]' in text
    assert '"seeds": [1, 2]' in text
    assert '"[ 1,  2 ]"' in text


# -- identity --------------------------------------------------------------------------------------


@patient
@given(tickets(), st.dictionaries(st.text(), JSON_VALUES, max_size=3))
def test_id_ignores_provenance(ticket: Ticket, provenance: dict[str, Any]) -> None:
    assert ticket.replace(provenance=provenance).id == ticket.id


@pytest.mark.parametrize(
    "change",
    [
        {"attention": "SGE"},
        {"attention_options": {"reduction": 4}},
        {"sharing": "block"},
        {"stages": ("100", "1011", "010011", "111")},
    ],
    ids=lambda change: next(iter(change)),
)
def test_id_changes_with_what_makes_the_network(change: dict[str, Any]) -> None:
    ticket = Ticket.from_decimal((4, 11, 19, 3), "resnet50", "SE")
    assert ticket.replace(**change).id != ticket.id


def test_id_changes_with_the_backbone() -> None:
    # Both have 3-4-6-3 blocks.
    assert Ticket.full("resnet34").id != Ticket.full("resnet50").id


def test_id_without_a_connection_is_the_plain_backbones() -> None:
    ids = {Ticket.none("resnet50", attention).id for attention in ("SE", "DIA", None)}
    assert len(ids) == 1


def test_id_is_the_same_in_every_release() -> None:
    # Checkpoints carry it: a change here orphans them all.
    assert Ticket.load("zoo:ean-sge-resnet50").id == "0c6c83164744"


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", r"expected a ticket in JSON, found line 1, column 1"),
        ("[1]", r"expected a ticket \(a JSON object\), found list"),
        ("[" * 100_000, r"nested too deeply"),
        ("1" * 5_000, r"a number with thousands of digits"),
        (changed_json(color="red"), r"unknown field 'color'"),
        (changed_json(self=1), r"unknown field 'self'"),
        (changed_json(version=2), r"is of version 2, this ean-transfer reads version 1"),
        (changed_json(format="other"), r"field 'format'.*found 'other'"),
        (changed_json(stages=...), r"field 'stages' is missing"),
        (changed_json(stages=["111", "111"]), r"3-3-3 blocks a stage.*have 3-3 bits"),
        (changed_json(stages=["111", "11", "111"]), r"3-3-3 blocks a stage.*have 3-2-3 bits"),
        (changed_json(stages=["111", "1x1", "111"]), r"stage 2 is '1x1', expected a string of 0"),
        (changed_json(stages=[7, 7, 7]), r"field 'stages\.0'.*found 7"),
        (changed_json(stages=[], backbone={"name": "mine", "blocks": []}), r"has no stages"),
        (changed_json(attention=None), r"connects blocks but names no attention"),
        (changed_json(attention_options={"r": float("inf")}), r"field 'attention_options\.r"),
        (changed_json(provenance=NESTED), r"cannot be written as JSON"),
        (
            changed_json(stages=["1" * 5000], backbone={"name": "mine", "blocks": [5000]}),
            r"stage 1 has 5000 bits, expected at most 4096",
        ),
        (changed_json(sharing="all"), r"field 'sharing'.*found 'all'"),
        (
            changed_json(backbone={"name": "resnet50", "blocks": [3, 3, 3]}),
            r"resnet50 has 3-4-6-3 blocks a stage, but the ticket declares 3-3-3",
        ),
    ],
)
def test_bad_file_gives_one_line_that_names_it(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "ticket.json"
    path.write_text(text)
    with pytest.raises(TicketError, match=message) as caught:
        Ticket.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


def test_missing_binary_and_huge_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(TicketError, match="no such ticket file"):
        Ticket.load(tmp_path / "absent.json")
    (tmp_path / "weights.pth").write_bytes(b"\x80\x02\xff")
    with pytest.raises(TicketError, match="cannot be read as a ticket"):
        Ticket.load(tmp_path / "weights.pth")
    (tmp_path / "huge.json").write_text(" " * 1_000_001)
    with pytest.raises(TicketError, match="this is no ticket"):
        Ticket.load(tmp_path / "huge.json")
    with pytest.raises(TicketError, match=r"no ticket 'nope' in the zoo.*ean-sge-resnet50"):
        Ticket.load("zoo:nope")


def test_conversions_say_what_does_not_fit() -> None:
    with pytest.raises(TicketError, match="unknown backbone 'vgg'"):
        Ticket.from_bits("101", "vgg")
    with pytest.raises(TicketError, match=r"resnet50 has 16 blocks \(3-4-6-3\), but 3 bits"):
        Ticket.from_bits("101", "resnet50")
    with pytest.raises(TicketError, match=r"resnet50 has 4 stages, but 3 numbers"):
        Ticket.from_decimal((1, 2, 3), "resnet50")
    with pytest.raises(TicketError, match=r"stage 1 .* from 0 to 7, found 8"):
        Ticket.from_decimal((8, 0, 0, 0), "resnet50")
    with pytest.raises(TicketError, match="found the text '101'"):
        Ticket.from_mask("101", "custom", blocks=(3,))
    with pytest.raises(TicketError, match="sparsity"):
        Ticket.random("resnet50", sparsity=1.1)


def test_backbone_of_ones_own_needs_its_blocks() -> None:
    ticket = Ticket.from_bits("10 1", "mine", blocks=(2, 1))
    assert ticket.backbone.blocks == (2, 1)
    assert Ticket.from_json(ticket.to_json()) == ticket


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["object", "lone surrogate"])
def test_provenance_that_json_cannot_hold_is_refused_when_writing(
    tmp_path: Path, value: Any
) -> None:
    ticket = Ticket.full("resnet50", provenance={"note": value})
    with pytest.raises(TicketError, match="cannot be written as JSON"):
        ticket.save(tmp_path / "ticket.json")
    assert not list(tmp_path.iterdir())


# -- files and start-up ----------------------------------------------------------------------------


def test_failed_save_leaves_the_old_file_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = Ticket.none("resnet50").save(tmp_path / "ticket.json")

    def fail(*_: Any) -> None:
        raise OSError("no space left")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(OSError, match="no space left"):
        Ticket.full("resnet50").save(path)
    assert Ticket.load(path) == Ticket.none("resnet50")
    assert list(tmp_path.iterdir()) == [path]


def test_saved_file_is_readable_like_any_other(tmp_path: Path) -> None:
    path = Ticket.none("resnet50").save(tmp_path / "ticket.json")
    (tmp_path / "other").write_text("")
    assert stat.S_IMODE(path.stat().st_mode) == stat.S_IMODE((tmp_path / "other").stat().st_mode)


def test_reading_a_ticket_loads_no_torch() -> None:
    code = (
        "import sys; from ean_transfer import Ticket, ticket_source, ticket_text; "
        "Ticket.load('zoo:ean-sge-resnet50'); "
        "print([name for name in ('torch', 'mmengine', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")
