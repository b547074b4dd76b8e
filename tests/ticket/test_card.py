"""A page about a ticket says what its file says, and lets no markup of a stranger through."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ean_transfer.ticket import Ticket
from ean_transfer.ticket.card import card, picture

SVG = "{http://www.w3.org/2000/svg}"
SGE = Ticket.load("zoo:ean-sge-resnet50")


def ticket_in(page: str) -> Ticket:
    block = re.search(r"```json\n(.*?)\n```\n", page, re.DOTALL)
    return Ticket.from_json(block[1])


def cells(page: str, name: str) -> list[str]:
    """The cells of the row of a table that begins with a name."""
    line = next(line for line in page.splitlines() if line.startswith(f"| {name} |"))
    return [cell.strip() for cell in line.strip("|").split("|")][1:]


def test_the_picture_has_a_square_per_block() -> None:
    drawn = ElementTree.fromstring(picture(SGE))
    squares = [rect for rect in drawn.iter(f"{SVG}rect") if rect.get("rx")]
    assert len(squares) == 16 + 1  # the legend's
    filled = [rect for rect in squares if rect.get("fill") != "#ffffff"]
    assert len(filled) == 9 + 1
    tops = [rect.get("y") for rect in squares]
    assert [tops.count(top) for top in dict.fromkeys(tops)] == [3, 4, 6, 3, 1]
    texts = [text.text for text in drawn.iter(f"{SVG}text")]
    assert "stage 3" in texts and "3 of 6" in texts


def test_the_page_holds_the_ticket_and_what_its_file_says() -> None:
    page = card(SGE, "sge card.svg")
    assert ticket_in(page) == SGE
    assert "](sge%20card.svg)" in page
    assert page.startswith("# SGE on resnet50: attention in 9 of 16 blocks\n")
    assert cells(page, "data") == ["ImageNet-1k"]
    assert cells(page, "mask") == ["100 1011 010011 011"]
    assert cells(page, r"published\_top1\_percent") == ["77.62"]
    assert "ean train CONFIG --ticket ticket.json" in page


def test_scores_of_a_search_stand_beside_none_and_full() -> None:
    mask = "".join(SGE.stages)
    confirmed = {
        mask: {"accuracy": 75.1, "over_full": 0.2, "latency": 12.5},
        "0" * 16: {"accuracy": 74.0, "over_full": -0.9},
        "1" * 16: {"accuracy": 74.9, "over_full": 0.0, "latency": 13.5},
        "1" + "0" * 15: {"accuracy": 10.0},
    }
    provenance = {"settings": {"strategy": "X"}, "confirmed": confirmed, "images": 2000}
    provenance["confirmed_by"] = "better in 1 of 3 comparisons"
    page = card(SGE.replace(provenance=provenance), "x.svg")
    assert cells(page, "ticket") == ["75.1", "0.2", "12.5"]
    assert cells(page, "none") == ["74.0", "-0.9", ""]
    assert cells(page, "full") == ["74.9", "0.0", "13.5"]
    assert cells(page, "held-out images") == ["2000"] and cells(page, "strategy") == ["X"]
    assert cells(page, "confirmed by") == ["better in 1 of 3 comparisons"]
    assert "10.0" not in page.split("## Ticket")[0]


def test_an_older_search_s_rules_are_read_as_well() -> None:
    rules = {"best": {"bits": str(SGE), "accuracy": 71.5}, "odd": "text", "none": {"bits": 3}}
    page = card(SGE.replace(provenance={"rules": rules}), "x.svg")
    assert cells(page, "ticket") == ["71.5"]


def test_a_stranger_s_text_is_no_markup() -> None:
    bad = "<script>alert(1)</script> | [x](http://evil) ![y](z) `a` \x1b[2J\n\n# big"
    hostile = Ticket.from_bits(
        "1", bad, bad, blocks=[1],
        provenance={"data": bad, "confirmed": {"1": {bad: bad}}, "```\n# end": "```\n# end"},
    )  # fmt: skip
    page = card(hostile, "x.svg")
    text = page.replace(re.search(r"```json\n.*?\n```\n", page, re.DOTALL)[0], "")
    assert "<script" not in text and "\x1b" not in page
    assert not re.search(r"(?<!\\)\[x", text) and not re.search(r"(?<!\\)!\\?\[y", text)
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings[1:] == ["## Scores and costs", "## Use", "## Ticket"]
    assert ticket_in(page) == hostile
    drawn = ElementTree.fromstring(picture(hostile))
    assert not list(drawn.iter(f"{SVG}script"))
