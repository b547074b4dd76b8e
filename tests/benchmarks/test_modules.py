"""The formulas that the modules are timed against, and that each is timed."""

from __future__ import annotations

import json

import pytest
import torch

from benchmarks import modules
from benchmarks.literal import FORMULAS, Literal, Ours
from ean_transfer.attention import build_attention
from tests.attention.conftest import OPTIONS


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("name", FORMULAS)
def test_a_formula_gives_what_the_module_gives(name: str, training: bool) -> None:
    torch.manual_seed(0)
    module = build_attention({"type": name, **OPTIONS[name]}, 16).double().train(training)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(3, 16, 5, 7, dtype=torch.float64)
    torch.testing.assert_close(Literal(module)(x), Ours(module)(x))


def test_every_module_has_a_formula() -> None:
    assert set(FORMULAS) == set(OPTIONS)


def test_the_command_writes_ratios_of_what_it_timed(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(modules, "STAGES", {64: 3, 128: 2})
    monkeypatch.setattr(modules, "BLOCKS", (2, 1))
    file = tmp_path / "speed.json"
    rounds = "--rounds 2 --network-rounds 2 --batches 1 --threads 1"
    modules.main(f"--out {file} --modules ECA SGE {rounds}".split())
    results = json.loads(file.read_text())
    assert set(results["resnet50"]["1"]) == {"plain", "ECA", "SGE"}
    times = results["modules"]["channels-last"]
    assert set(times) == {"x w", "ECA", "ECA, literal", "ECA, timm", "SGE", "SGE, literal"}
    assert times["x w"]["together"]["median"] == 1.0
    assert all(ratio["median"] > 0 for row in times.values() for ratio in row.values())
