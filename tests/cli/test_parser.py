"""Flags that several commands have: one meaning everywhere, wrong values in one line."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from ean_transfer.cli.main import COMMANDS, command_parser
from ean_transfer.cli.parser import ArgumentParser
from ean_transfer.cli.values import read_config, read_networks
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS

TOY = str(CONFIGS / "classification" / "toy.py")


def parsers_of(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    """The parsers of a command and of its commands."""
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from parsers_of(child)


@pytest.mark.parametrize("command", COMMANDS)
def test_outputs_mean_the_same_in_every_command(command: str) -> None:
    for parser in parsers_of(command_parser(command, command)):
        flags = {name: action for action in parser._actions for name in action.option_strings}
        if "--json" in flags:
            assert flags["--json"].nargs == 0
        if "--out" in flags and command != "init":  # whose result is a folder
            assert flags["--out"].metavar.startswith("FILE") and flags["--out"].type is not None
        if "--out-dir" in flags:
            assert flags["--out-dir"].metavar == "DIR"
        arguments = (a for a in parser._actions if not isinstance(a, argparse._SubParsersAction))
        assert all(argument.help for argument in arguments), parser.prog


@pytest.mark.parametrize("command", COMMANDS)
def test_help_names_each_default_once(command: str) -> None:
    for parser in parsers_of(command_parser(command, command)):
        formatter = parser._get_formatter()
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                continue
            text, default = formatter._expand_help(action), action.default
            has_one = default not in (None, False, "", [], argparse.SUPPRESS)
            assert text.count("(default: ") in ({1} if has_one else {0, 1}), (parser.prog, text)
            assert not re.search(r"\(default: ?[()]", text), (parser.prog, text)
            for value in default if isinstance(default, list | tuple) else [default]:
                assert not has_one or str(value) in text.rpartition("(default: ")[2]


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "one"])
def test_seeds_that_numpy_does_not_take_are_one_line(run_tool, seed: object) -> None:
    shown = run_tool("train", "CONFIG", "--seed", seed)
    message = f"error: argument --seed: expected a whole number from 0 to 4294967295, found {seed}"
    assert shown.code == 2 and shown.err.startswith(message) and shown.err.count("\n") == 1


def options(*texts: str) -> argparse.Namespace:
    return command_parser("train", "train").parse_args([TOY, "--cfg-options", *texts])


def test_cfg_options_are_read_as_mmengine_reads_them() -> None:
    cfg = read_config(
        options(
            "train_dataloader.batch_size=8",
            "model.head.topk=(1,2)",
            "optim_wrapper.optimizer.lr=1e-3",
            "val_evaluator=None",
            "--cfg-options",
            "train_cfg.max_epochs=3",
        )
    )
    assert (cfg.train_dataloader.batch_size, cfg.model.head.topk) == (8, (1, 2))
    assert (cfg.optim_wrapper.optimizer.lr, cfg.val_evaluator) == (1e-3, None)
    assert cfg.train_cfg.max_epochs == 3


@pytest.mark.parametrize(
    "text, value",
    [
        ("/my nets/a.pth", "/my nets/a.pth"),
        ("['a b', c]", ["ab", "c"]),  # as mmengine: without quotes spaces mean nothing
        ("['a b', 'c']", ["a b", "c"]),
        ("a,b", ["a", "b"]),
        ("'1,2'", "1,2"),
        ("none", "none"),
        ("1e-3", 1e-3),
        ("False", False),
    ],
)
def test_the_value_of_an_option_is_what_was_typed(text: str, value: object) -> None:
    assert read_config(options(f"load_from={text}")).load_from == value


@pytest.mark.parametrize("text", ["a=[1,", "a=1,(2"])
def test_brackets_that_do_not_match_are_named(text: str) -> None:
    with pytest.raises(ConfigError, match="--cfg-options: expected brackets that match"):
        read_config(options("b=1", text))


@pytest.mark.parametrize(
    ("command", "typed", "name"),
    [
        ("train", [TOY, "--work-dir=~/out"], "work_dir"),
        ("predict", ["net.onnx", "a.png", "--out-dir=~/out"], "out_dir"),
        ("ticket", ["convert", "full", "--out=~/out"], "out"),
        ("dataset", ["convert", "counting", "a.csv", "--out-dir=~/out"], "out_dir"),
    ],
)
def test_a_home_folder_that_the_shell_left_is_expanded(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, command: str, typed: list[str], name: str
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert vars(command_parser(command, command).parse_args(typed))[name] == tmp_path / "out"


def test_networks_have_names_of_their_own() -> None:
    assert read_networks(["a=b.pth,c.pth", "d=e=f.pth"]) == {"a": ["b.pth,c.pth"], "d": ["e=f.pth"]}
    assert read_networks(["a=b.pth,c.pth"], several=True) == {"a": ["b.pth", "c.pth"]}
    for wrong in (["a.pth"], ["a="], ["=a.pth"], ["a=b.pth", "a=c.pth"]):
        with pytest.raises(ConfigError, match="expected (NAME=CHECKPOINT|a NAME for each)"):
            read_networks(wrong)


@pytest.mark.parametrize(
    ("command", "typed", "holds", "note"),
    [
        ("predict", "c k i --out d", {"out_dir": Path("d")}, "--out d is now --out-dir d"),
        ("predict", "c k i --out=d", {"out_dir": Path("d")}, "--out d is now --out-dir d"),
        ("predict", "c k i --out-dir d", {"out_dir": Path("d")}, None),
        (
            "benchmark",
            "counting c --study s --out d",
            {"out": Path("d")},
            "--out d is now --out-dir d",
        ),
        (
            "fold",
            "report c k --json r.json",
            {"json": False, "out": Path("r.json")},
            "--json r.json is now --out r.json",
        ),
        ("fold", "report --json c k", {"json": True, "out": None, "config": "c"}, None),
        ("fold", "folded c a=k --json", {"json": True, "out": None}, None),
        ("benchmark", "search --json r.json", {"json": False, "out": Path("r.json")}, "is now"),
    ],
    ids=str,
)
def test_former_spellings_work_and_say_the_new_one(
    command: str,
    typed: str,
    holds: dict,
    note: str | None,
    capsys: pytest.CaptureFixture[str],
) -> None:
    parsed = vars(command_parser(command, command).parse_args(typed.split()))
    assert {name: parsed[name] for name in holds} == holds
    shown = capsys.readouterr().err
    assert (note in shown and shown.count("\n") == 1) if note else not shown


def test_an_option_is_never_abbreviated() -> None:
    parser = ArgumentParser(prog="x")
    parser.add_shared("--tensorboard")
    with pytest.raises(SystemExit):
        parser.parse_args(["--tensor"])
