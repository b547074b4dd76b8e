"""A ticket's fields: an id that is the network's, files that come back, errors in one line."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ean_transfer.ticket import BackboneSpec, Ticket, TicketError, ticket_of, zoo
from tests.ticket.strategies import JSON_VALUES, patient, tickets


def changed_json(**fields: Any) -> str:
    """A good ticket's text with some fields replaced, or removed where the value is ``...``."""
    data = json.loads(Ticket.full("resnet20_cifar").to_json()) | fields
    return json.dumps({key: value for key, value in data.items() if value is not ...})


# -- files -----------------------------------------------------------------------------------------


@patient
@given(tickets())
def test_json_and_checkpoints_give_the_ticket_back(ticket: Ticket) -> None:
    for again in (
        Ticket.from_json(ticket.to_json()),
        ticket_of({"meta": {"ticket": ticket.model_dump(mode="json")}}),
    ):
        assert again == ticket
        assert again.id == ticket.id


def test_file_gives_the_ticket_back(tmp_path: Path) -> None:
    ticket = Ticket.random("resnet50", "SGE", seed=3)
    path = ticket.save(tmp_path / "made" / "on the way" / "ticket.json")
    assert Ticket.load(path) == Ticket.load(str(path)) == ticket


def test_zoo_tickets_are_valid_and_only_se_is_unconfirmed() -> None:
    unconfirmed = [name for name, ticket in zoo().items() if not ticket.provenance["confirmed"]]
    assert unconfirmed == ["ean-se-resnet50"]


def test_json_has_one_line_per_stage_and_leaves_strings_alone() -> None:
    ticket = Ticket.full("resnet50", provenance={"note": "[ 1,  2 ]", "seeds": [1, 2]})
    text = ticket.to_json()
    assert '    "1111",\n    "111111",\n' in text
    assert '"blocks": [3, 4, 6, 3]' in text
    assert '"seeds": [1, 2]' in text
    assert '"[ 1,  2 ]"' in text


def test_reading_tickets_loads_no_torch() -> None:
    code = (
        "import sys; from ean_transfer import Ticket; "
        "from ean_transfer.ticket import display, parse, transfer; "
        "Ticket.load('zoo:ean-sge-resnet50'); "
        "print([name for name in ('torch', 'mmengine', 'numpy') if name in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (result.stdout.strip(), result.stderr) == ("[]", "")


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
        {"asr": ("000", "0000", "000000", "100")},
        {"backbone": Ticket.full("resnet34").backbone},  # of the same blocks
        {"backbone": BackboneSpec(name="resnet50", blocks=(3, 4, 6, 3), places=("a",) * 16)},
    ],
    ids=["attention", "options", "sharing", "stages", "asr", "backbone", "places"],
)
def test_id_changes_with_what_makes_the_network(change: dict[str, Any]) -> None:
    ticket = Ticket.from_decimal((4, 11, 19, 3), "resnet50", "SE")
    assert ticket.replace(**change).id != ticket.id


def test_id_without_a_connection_is_the_plain_backbones() -> None:
    assert len({Ticket.none("resnet50", attention).id for attention in ("SE", "DIA", None)}) == 1


def test_id_is_the_same_in_every_release() -> None:
    # Checkpoints carry it: a change here orphans them all.
    assert Ticket.load("zoo:ean-sge-resnet50").id == "0c6c83164744"


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no json", r"JSON.*line 1 column 2"),
        ("[1]", r"expected an object"),
        ("[" * 100_000, r"JSON.*recursion"),
        (changed_json(provenance={"digits": 0}).replace("0}", "1" * 5_000 + "}"), r"JSON.*number"),
        (" " * 20_000_000, r"JSON.*EOF"),
        (b"\x80\x02\xff", r"JSON.*line 1 column 1"),  # a pickle
        (changed_json(color="red"), r"unknown field 'color'"),
        (changed_json(self=1), r"unknown field 'self'"),
        (changed_json(version=2), r"version 2, .* reads version 1: update"),
        (changed_json(format="other"), r"format: .*found 'other'"),
        (changed_json(stages=...), r"field 'stages' is missing"),
        (changed_json(stages=["111", "111"]), r"3-3-3 blocks.* have 3-3 bits"),
        (changed_json(stages=["111", "11", "111"]), r"3-3-3 blocks.* have 3-2-3 bits"),
        (changed_json(asr=["111"]), r"3-3-3 blocks.* asr .*have 3 bits"),
        (changed_json(stages=["111", "1x1", "111"]), r"stage 2 is '1x1', expected .* 0 and 1"),
        (changed_json(stages=[7, 7, 7]), r"stages\.0: .*found 7"),
        (changed_json(stages=[], backbone={"name": "mine", "blocks": []}), r"has no stages"),
        (changed_json(attention=None), r"connects blocks but names no attention"),
        (changed_json(attention_options={"r": float("inf")}), r"attention_options\.r"),
        (
            changed_json(stages=["1" * 5000], backbone={"name": "mine", "blocks": [5000]}),
            r"stage 1 has 5000 bits, expected at most 4096",
        ),
        (changed_json(sharing="all"), r"sharing: .*found 'all'"),
        (
            changed_json(backbone={"name": "resnet50", "blocks": [3, 3, 3]}),
            r"resnet50 has 3-4-6-3 blocks .*declares 3-3-3",
        ),
        (
            changed_json(backbone={"name": "mine", "blocks": [3, 3, 3], "places": ["a"]}),
            r"expected 9 places, found 1",
        ),
    ],
    ids=lambda value: value[:30] if isinstance(value, str) and "{" not in value else "",
)
def test_bad_file_gives_one_line_that_names_it(
    tmp_path: Path, text: str | bytes, message: str
) -> None:
    path = tmp_path / "ticket.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(TicketError, match=message) as caught:
        Ticket.load(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("absent.json", "absent.json: no such ticket file"),
        ("zoo:nope", r"zoo:nope: no such ticket .*ean-sge-resnet50"),
        ("1" * 5000, "no such ticket file"),
        (".", "expected a ticket file, found a folder"),
    ],
)
def test_what_is_no_file_is_refused(path: str, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        Ticket.load(path)


def test_a_folder_is_no_ticket_but_may_hold_one(tmp_path: Path) -> None:
    with pytest.raises(TicketError, match="expected a ticket file, found a folder$"):
        Ticket.load(tmp_path)
    file = Ticket.full("resnet20_cifar").save(tmp_path / "ticket.json")
    with pytest.raises(TicketError, match=f"found a folder; did you mean {file}"):
        Ticket.load(tmp_path)


def test_what_a_checkpoint_carries_must_be_a_ticket() -> None:
    assert ticket_of({}) is None
    for data in ("zoo:nope", {"stages": ["1"]}, {1: 2}):
        with pytest.raises(TicketError, match="checkpoint's ticket"):
            ticket_of({"meta": {"ticket": data}})


@pytest.mark.parametrize("seed", range(5))
def test_any_change_of_a_file_ends_in_a_ticket_or_in_one_line(seed: int) -> None:
    generator = random.Random(seed)
    good = Ticket.full("resnet20_cifar", provenance={"seeds": [1, {"a": None}]}).to_json()
    bits = ['"', "{", "}", "[", "]", ":", ",", "0", "1e999", "NaN", "null", "\\ud800", "\x00", "-"]
    for _ in range(1000):
        text = list(good)
        for _ in range(generator.randint(1, 4)):
            text[generator.randrange(len(text))] = generator.choice(bits)
        try:
            ticket = Ticket.from_json("".join(text))
        except TicketError as error:
            assert "\n" not in str(error)
        else:  # what can be read can be written, and is the same network
            assert Ticket.from_json(ticket.to_json()).id == ticket.id


@pytest.mark.parametrize("value", [object(), "\ud800"], ids=["object", "lone surrogate"])
def test_provenance_that_json_cannot_hold_leaves_no_file(tmp_path: Path, value: Any) -> None:
    ticket = Ticket.full("resnet50", provenance={"note": value})
    with pytest.raises(ValueError, match="serialize|surrogates"):
        ticket.save(tmp_path / "ticket.json")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_file_from_a_shell_of_windows_is_read(tmp_path: Path, encoding: str) -> None:
    ticket = Ticket.full("resnet50").replace(provenance={"data": "Möwen"})
    file = tmp_path / "ticket.json"
    file.write_bytes(ticket.to_json().encode(encoding))
    assert Ticket.load(file) == ticket
