"""``tools/ticket.py`` as its user meets it: what is printed, where, and the exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from ean_transfer.ticket import Ticket
from tests.helpers import ROOT

TOOL = ROOT / "tools" / "ticket.py"
SGE = "zoo:ean-sge-resnet50"
Run = Callable[..., Any]


@pytest.fixture
def run(run_tool: Run) -> Run:
    return partial(run_tool, "ticket")


@pytest.fixture
def strangers_ticket(tmp_path: Path) -> Path:
    """A valid ticket that would clear the screen if printed raw."""
    escape = "\x1b[2J\x9b2J\u202e"
    ticket = Ticket.from_bits(
        "1", escape, escape, blocks=[1], provenance={escape: escape, "list": [escape]}
    )
    return ticket.save(tmp_path / "stranger.json")


# -- show ------------------------------------------------------------------------------------------


def test_show_draws_a_cell_a_block_and_a_line_a_stage(run: Run) -> None:
    code, out, err = run("show", SGE)
    assert (code, err) == (0, "")
    rows = [line for line in out.splitlines() if line.startswith("stage ")]
    assert [row.count("■") for row in rows] == [1, 3, 3, 2]
    assert [row.count("■") + row.count("□") for row in rows] == [3, 4, 6, 3]
    assert "9 of 16 blocks" in out
    assert "(4, 11, 19, 3)" in out
    assert "\x1b" not in out  # not a terminal: no colour


def test_show_json_holds_the_ticket(run: Run) -> None:
    data = json.loads(run("show", SGE, "--json").out)
    assert data["connected"] == 9
    assert Ticket.from_json(json.dumps(data["ticket"])) == Ticket.load(SGE)


def test_show_prints_a_strangers_text_escaped(run: Run, strangers_ticket: Path) -> None:
    for arguments in (
        ("show", strangers_ticket),
        ("show", strangers_ticket, "--json"),
        ("convert", strangers_ticket, "--json"),
        ("diff", strangers_ticket, SGE),
        ("validate", strangers_ticket),
    ):
        code, out, err = run(*arguments)
        assert code in (0, 1)
        assert all(c.isprintable() or c == "\n" for c in out + err), arguments


def test_tool_runs_as_a_script_without_unicode_in_the_locale() -> None:
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    result = subprocess.run(
        [sys.executable, str(TOOL), "show", SGE], capture_output=True, env=environment
    )
    assert result.returncode == 0, result.stderr
    assert b"stage 2   # . # #" in result.stdout


# -- convert ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "bits"),
    [
        ("4 11 19 3", "100 1011 010011 011"),
        ("(4, 11, 19, 3)", "100 1011 010011 011"),
        ("1001011010011011", "100 1011 010011 011"),
        ("100-1011-010011-011", "100 1011 010011 011"),
        ("1 0 1 0", "001 0000 000001 000"),  # as many numbers as stages: decimals
        ("full", "111 1111 111111 111"),
        ("none", "000 0000 000000 000"),
    ],
)
def test_convert_reads_what_people_write(run: Run, source: str, bits: str) -> None:
    assert run("convert", source, "--backbone", "resnet50") == (0, bits + "\n", "")


def test_convert_prints_decimals_that_it_reads_again(run: Run) -> None:
    decimal = run("convert", SGE, "--to", "decimal").out.strip()
    assert decimal == "(4, 11, 19, 3)"
    assert run("convert", decimal, "--backbone", "resnet50").out == run("convert", SGE).out


def test_convert_random_has_its_sparsity_and_complement_the_rest(run: Run) -> None:
    source = ("convert", "random", "--backbone", "resnet20_cifar", "--sparsity", "0.33")
    bits = run(*source, "--seed", "7").out
    swapped = run(*source, "--seed", "7", "--complement").out
    assert bits.count("0") == 3
    assert swapped == bits.translate(str.maketrans("01", "10"))


@pytest.mark.parametrize("command", ["show", "convert"])
def test_a_sparsity_is_refused_where_nothing_is_drawn(run: Run, command: str) -> None:
    code, out, err = run(command, SGE, "--sparsity", "0.9")
    assert (code, out) == (2, "") and "--sparsity: expected the ticket random" in err


def test_convert_writes_a_file_with_the_attention_asked_for(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "ticket.json"
    code, out, err = run(
        "convert", "4 11 19 3", "--backbone", "resnet50", "--attention", "SGE",
        "--option", "groups=64", "--out", path,
    )  # fmt: skip
    assert (code, out) == (0, "")
    assert f"wrote {path}" in err
    ticket = Ticket.load(path)
    assert ticket.id == Ticket.load(SGE).id
    assert ticket.provenance == {}  # nothing was carried: bits name no attention


@pytest.mark.parametrize("command", ["convert", "fit"])
def test_what_is_no_ticket_and_what_a_search_found_is_kept(
    run: Run, tmp_path: Path, command: str
) -> None:
    options = ("--backbone", "resnet101" if command == "fit" else "resnet50")
    searched, other, own = (tmp_path / name for name in ("ticket.json", "notes.md", "own.json"))
    Ticket.load(SGE).replace(provenance={"settings": {}}).save(searched)
    other.write_text("mine")
    Ticket.load(SGE).save(own)
    for file in (searched, other):
        before = file.read_bytes()
        code, _, err = run(command, SGE, *options, "--out", file)
        assert code == 2 and f"{file}: expected another --out" in err
        assert file.read_bytes() == before
    assert run(command, SGE, *options, "--out", own).code == 0


def test_convert_carries_a_mask_to_another_attention(run: Run, tmp_path: Path) -> None:
    path = tmp_path / "se.json"
    assert run("convert", SGE, "--attention", "SE", "--sharing", "block", "--out", path).code == 0
    source, carried = Ticket.load(SGE), Ticket.load(path)
    assert carried.mask == source.mask
    assert (carried.attention, carried.sharing) == ("SE", "block")
    assert carried.attention_options == {}  # groups are SGE's
    assert carried.provenance["carried_from"]["id"] == source.id
    assert carried.provenance["carried_from"]["provenance"] == source.provenance


# -- diff, validate, zoo ---------------------------------------------------------------------------


def test_diff_names_fields_and_blocks(run: Run) -> None:
    code, out, _ = run("diff", SGE, "zoo:ean-se-resnet50")
    assert code == 1
    assert "different networks" in out
    assert "  - SGE\n  + SE\n" in out
    assert "blocks: 6 differ" in out
    assert "  stage 1   - + .\n" in out
    data = json.loads(run("diff", SGE, "zoo:ean-se-resnet50", "--json").out)
    assert set(data["fields"]) == {"attention", "attention_options", "stages"}
    assert data["blocks"][0] == {"stage": 1, "block": 1, "connected_in": "first"}


def test_diff_of_provenance_alone_is_the_same_network(run: Run, tmp_path: Path) -> None:
    path = Ticket.load(SGE).replace(provenance={"seed": 1}).save(tmp_path / "ticket.json")
    code, out, _ = run("diff", SGE, path)
    assert code == 0
    assert out.startswith("same network\n")
    assert "provenance.seed\n  + 1\n" in out


@pytest.mark.parametrize(
    ("options", "code", "verdict"),
    [
        ({}, 3, "the same mask; options differ: groups 64 and not given: the same network if"),
        ({"eps": 1e-5}, 3, "options differ: eps not given and 1e-05, groups 64 and not given: "),
        ({"groups": 64, "eps": 1e-5}, 3, "options differ: eps not given and 1e-05: "),
        ({"groups": 8}, 1, "different networks"),
        ({"groups": 8, "eps": 1e-5}, 1, "different networks"),
        ({"groups": 64}, 0, "same network"),
    ],
    ids=str,
)
def test_diff_leaves_open_what_depends_on_the_defaults(
    run: Run, tmp_path: Path, options: dict, code: int, verdict: str
) -> None:
    path = Ticket.load(SGE).replace(attention_options=options).save(tmp_path / "ticket.json")
    done = run("diff", SGE, path)
    assert done.code == code and verdict in done.out.splitlines()[0]
    expected = {0: True, 1: False, 3: None}[code]
    assert json.loads(run("diff", SGE, path, "--json").out)["same_network"] is expected
    inverted = Ticket.load(path).complement().save(tmp_path / "inverted.json")
    assert run("diff", SGE, inverted).code == 1


def test_diff_of_other_backbones_compares_no_blocks(run: Run) -> None:
    code, out, _ = run("diff", SGE, "full", "--backbone", "resnet20_cifar")
    assert code == 1
    assert "blocks: not comparable" in out


def test_validate_says_ok_or_why_not_for_each_file(run: Run, tmp_path: Path) -> None:
    good = Ticket.full("resnet50").save(tmp_path / "good.json")
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    assert run("validate", good).code == 0
    code, out, err = run("validate", good, bad)
    assert (code, err) == (1, "")
    first, second = out.splitlines()
    assert first.startswith(f"{good}: ok (")
    assert second == f"{bad}: no ticket: field 'backbone' is missing"
    data = json.loads(run("validate", good, bad, "--json").out)
    assert [result["ok"] for result in data] == [True, False]


def test_zoo_marks_the_unconfirmed_ticket(run: Run) -> None:
    marked = [line for line in run("zoo").out.splitlines() if line.endswith("unconfirmed")]
    assert [line.split()[0] for line in marked] == ["zoo:ean-se-resnet50"]
    data = json.loads(run("zoo", "--json").out)
    assert [entry["name"] for entry in data if not entry["confirmed"]] == ["zoo:ean-se-resnet50"]


# -- errors ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "absent.json"], "absent.json: no such ticket file"),
        (["show", "folder/absent"], "folder/absent: no such ticket file"),
        (["show", "fulll"], "fulll: no such ticket file; a ticket is a file, zoo:NAME"),
        (["convert", "1010"], "give --backbone NAME"),
        (["convert", "9 0 0 0", "--backbone", "resnet50"], "from 0 to 7, 15, 63, 7, found 9"),
        (["convert", "100 1011 010011 01", "--backbone", "resnet50"], "have 3-4-6-2 bits"),
        (["convert", "full", "--backbone", "vgg"], "unknown backbone 'vgg'"),
        (["show"], "required: TICKET"),
        (["zoo", "--jsn"], "--jsn; did you mean --json? (see "),
        (["show", "t.json", "--b", "x"], "did you mean --backbone?"),
    ],
)
def test_bad_input_gives_one_line_and_code_2(run: Run, arguments: list[str], message: str) -> None:
    code, out, err = run(*arguments)
    assert (code, out) == (2, "")
    assert err.startswith("error: ") and err.count("\n") == 1
    assert message in err


def test_fit_writes_a_ticket_for_another_depth(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "deep.json"
    done = run("fit", "zoo:ean-sge-resnet50", "--backbone", "resnet101", "--out", out)
    assert done.code == 0 and "17 of 33 blocks" in done.err
    assert Ticket.load(out).provenance["rule"] == "nearest"
    refused = run("fit", "zoo:ean-sge-resnet50", "--backbone", "resnet56_cifar")
    assert refused.code == 2 and "expected another depth" in refused.err


def test_shuffle_gives_another_ticket_as_sparse(run: Run) -> None:
    given = "100 1011 010011 011"
    done = run("convert", given, "--backbone", "resnet50", "--shuffle", "--seed", "3")
    assert done.out.strip() != given and done.out.count("1") == given.count("1")


def test_asr_marks_what_is_to_be_folded(run: Run, tmp_path: Path) -> None:
    out = tmp_path / "asr.json"
    done = run("convert", "zoo:ean-se-resnet50", "--asr", "only", "--out", out)
    assert done.code == 0 and "0 of 16 blocks" in done.err and "to fold" in done.err
    given, ticket = Ticket.load("zoo:ean-se-resnet50"), Ticket.load(out)
    assert ticket.asr == given.stages and ticket.folded().is_plain
    before = run("convert", "zoo:ean-se-resnet50", "--asr", "before").out.strip()
    assert before == f"{given} asr {given}"
    again = run("convert", out, "--asr", "only")
    assert again.code == 2 and "connections to fold" in again.err


LONG = "x" * 900_000


@pytest.mark.parametrize(
    "changes",
    [
        {"attention": LONG},
        {"attention": LONG, "attention_options": {LONG: LONG}},
        {"backbone": {"name": LONG, "blocks": [1]}},
        {"backbone": {"name": LONG, "blocks": [1] * 100_000}},
        {"backbone": {"name": "y", "blocks": [1], LONG: 1}},
        {"stages": [LONG]},
        {"sharing": LONG},
        {"version": LONG},
        {"attention_options": {LONG: []}},
        {LONG: 1},
    ],
    ids=lambda changes: "-".join(changes)[:40],
)
def test_validate_prints_a_line_however_long_the_names_in_a_file_are(
    run: Run, tmp_path: Path, changes: dict[str, Any]
) -> None:
    ticket = Ticket.from_bits("1", "y", "SE", blocks=[1])
    file = tmp_path / "long.json"
    file.write_text(json.dumps(json.loads(ticket.to_json()) | changes))
    _, out, err = run("validate", file)
    assert str(file) in out and len(out.splitlines()) == 1 and len(out) < 1100 and err == ""


# -- what carries a ticket -------------------------------------------------------------------------


@pytest.fixture
def carriers(tmp_path: Path) -> dict[str, Path]:
    """One ticket as a file, in a checkpoint, and in the work dirs of a search and a training."""
    ticket = Ticket.load(SGE)
    search, training = tmp_path / "search", tmp_path / "training"
    training.mkdir()
    checkpoint = training / "epoch_1.pth"
    meta = {"ticket": ticket.model_dump(mode="json")}
    torch.save({"meta": meta, "state_dict": {"w": torch.zeros(1)}}, checkpoint)
    (training / "last_checkpoint").write_text(str(checkpoint))
    file = ticket.save(search / "ticket.json")
    return {"file": file, "search": search, "training": training, "checkpoint": checkpoint}


def test_show_and_diff_read_whatever_carries_a_ticket(run: Run, carriers: dict[str, Path]) -> None:
    shown = run("show", SGE).out
    for source in carriers.values():
        assert run("show", source).out == shown
        assert run("diff", SGE, source).code == 0
    other = Ticket.load(SGE).complement().save(carriers["search"] / "other.json")
    done = run("diff", carriers["checkpoint"], other)
    assert done.code == 1
    # The picture comes right after the verdict, before the fields.
    lines = done.out.splitlines()
    assert lines[1].startswith("blocks: 16 differ") and lines[2] == "  stage 1   - + +"


def test_what_carries_no_ticket_is_one_line(run: Run, tmp_path: Path) -> None:
    torch.save({"state_dict": {"w": torch.zeros(1)}}, tmp_path / "plain.pth")
    (tmp_path / "broken.pth").write_bytes(b"torn")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("plain.pth", "carries a ticket"),
        ("broken.pth", "cannot be read"),
        ("empty", "no checkpoint"),
    ):
        code, _, err = run("show", tmp_path / name)
        assert code == 2 and err.count("\n") == 1 and name in err and said in err


def test_card_writes_a_page_and_its_picture(
    run: Run, carriers: dict[str, Path], tmp_path: Path
) -> None:
    page = tmp_path / "card.md"
    for _ in range(2):  # the second replaces the first
        assert run("card", carriers["training"], "--out", page).code == 0
    text = page.read_text()
    assert "](card.svg)" in text and "SGE on resnet50" in text
    assert (tmp_path / "card.svg").read_text().startswith("<svg")
    drawing = tmp_path / "mine.svg"
    drawing.write_text("drawn by hand")
    assert run("card", SGE, "--out", tmp_path / "mine.md").code == 2
    assert drawing.read_text() == "drawn by hand"
    assert run("card", SGE, "--out", tmp_path / "card.txt").code == 2
    readme = tmp_path / "README.md"
    readme.write_text("# Mine")
    assert run("card", SGE, "--out", readme).code == 2
    assert readme.read_text() == "# Mine"


def test_bits_may_be_longer_than_a_file_name(run: Run) -> None:
    bits = "10" * 166 + "1"
    shown = run("show", bits, "--backbone", "preresnet1001_cifar")
    assert shown.code == 0 and "167 of 333" in shown.out
