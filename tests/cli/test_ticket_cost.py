"""``ean ticket cost``: what a ticket costs on networks of any make."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import timm

from ean_transfer import Ticket, attach
from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.backbones import build_backbone

QUICK = ("--size", "32", "--rounds", "2")


@pytest.fixture
def run(run_tool) -> Any:
    return partial(run_tool, "ticket", "cost")


@pytest.fixture
def ticket(tmp_path: Path) -> Path:
    """Two of the four blocks of timm's smallest ResNet."""
    network = attach(timm.create_model("resnet10t"), "SE", "block")
    return network.ticket.with_mask((True, False, False, True)).save(tmp_path / "t.json")


def number_of_parameters(model) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def test_params_are_those_of_the_two_networks(run, ticket: Path) -> None:
    code, out, _ = run(ticket, "--network", "timm:resnet10t", *QUICK, "--json")
    data = json.loads(out)
    plain = number_of_parameters(timm.create_model("resnet10t"))
    own = number_of_parameters(attach(timm.create_model("resnet10t"), ticket=ticket))
    assert code == 0 and set(data["costs"]) == {"params", "macs", "latency"}
    params, macs, latency = (data["costs"][name] for name in ("params", "macs", "latency"))
    assert (params["plain"], params["ticket"]) == (plain, own)
    assert params["over_plain"] == pytest.approx(own / plain - 1)
    assert macs["ticket"] > macs["plain"] > 0 and macs["quartiles"] is None
    assert latency["plain"] > 0 and len(latency["quartiles"]) == 2
    assert data["ticket"]["id"] == Ticket.load(ticket).id and data["network"] == "timm:resnet10t"
    assert data["input_shape"] == [1, 3, 32, 32] and data["rounds"] == 2


def test_people_get_a_table_with_per_cent_over_plain(run, ticket: Path) -> None:
    code, out, err = run(ticket, "--network", "timm:resnet10t", *QUICK)
    assert (code, err) == (0, "")
    rows = {line.split("│")[1].strip(): line for line in out.splitlines() if line[:1] == "│"}
    assert set(rows) == {"parameters", "MACs per image", "latency (ms)"}
    assert all("%" in row for row in rows.values())
    assert "2 of 4 blocks" in out and "1 x 3 x 32 x 32" in out and "threads" in out


def test_macs_are_of_one_image_and_time_is_of_all(run, ticket: Path) -> None:
    options = (ticket, "--network", "timm:resnet10t", *QUICK, "--json")
    one, two = (
        json.loads(run(*options, name, number).out)
        for name, number in (("--batch-size", "1"), ("--batch", "2"))  # one option, two names
    )
    assert one["costs"]["macs"] == two["costs"]["macs"]
    assert two["input_shape"] == [2, 3, 32, 32]


def test_own_backbones_are_built_by_the_tickets_name(run, tmp_path: Path) -> None:
    file = Ticket.full("resnet8_cifar", "SE", attention_options={"reduction": 4}).save(
        tmp_path / "full.json"
    )
    params = json.loads(run(file, *QUICK, "--json").out)["costs"]["params"]
    network = build_backbone("resnet8_cifar", ticket=file)
    assert params["ticket"] - params["plain"] == count_attention_parameters(network)
    words = ("full", "--network", "resnet8_cifar", "--attention", "SE", "--option", "reduction=4")
    assert json.loads(run(*words, *QUICK, "--json").out)["costs"]["params"] == params


def test_attention_that_is_folded_away_costs_nothing(run, tmp_path: Path) -> None:
    options = {"reduction": 4}
    full = Ticket.from_bits("10 01 11", "resnet14_cifar", attention_options=options)
    ticket = full.with_asr()
    code, out, _ = run(ticket.save(tmp_path / "asr.json"), *QUICK, "--json")
    data = json.loads(out)
    assert code == 0 and data["ticket"]["id"] == ticket.id
    plain = number_of_parameters(build_backbone("resnet14_cifar", ticket="none"))
    assert data["costs"]["params"]["plain"] == data["costs"]["params"]["ticket"] == plain
    assert data["costs"]["macs"]["over_plain"] == 0


def test_places_of_ones_own_are_in_the_ticket(run, tmp_path: Path) -> None:
    model = attach(timm.create_model("resnet10t"), "ECA", at=["layer2", "layer4"])
    file = model.ticket.save(tmp_path / "at.json")
    at = ("--at", "layer2", "layer4")
    data = json.loads(run(file, "--network", "timm:resnet10t", *at, *QUICK, "--json").out)
    assert data["costs"]["params"]["ticket"] == number_of_parameters(model)
    named = json.loads(run(file, "--network", "timm:resnet10t", *QUICK, "--json").out)
    assert named["costs"]["params"] == data["costs"]["params"]  # the ticket names them


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("full", "--network", "timm:resnet10t"), ["--attention"]),
        (("none",), ["--network"]),
        (("zoo:ean-se-resnet50", "--option", "reduction=4"), ["--option is one of --attention"]),
        (("zoo:ean-se-resnet50", "--network", "timm:resnet10t"), ["resnet50", "1-1-1-1"]),
        (("zoo:ean-se-resnet50", "--network", "timm:resnet10x"), ["did you mean"]),
        (("zoo:ean-se-resnet50", "--at", "layer1"), ["--at"]),
        (("zoo:ean-se-resnet50", "--device", "nothing"), ["device", "nothing"]),
    ],
)
def test_what_cannot_be_counted_is_refused_in_one_line(run, arguments, words) -> None:
    code, out, err = run(*arguments, *QUICK)
    assert (code, out) == (2, "") and err.count("\n") == 1
    assert all(word in err for word in words)
