"""The study on a network of one's own, run on a toy task with a toy network."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import Dataset, TensorDataset

from benchmarks import own_network, own_network_budget, own_network_results
from benchmarks.own_network_tasks import TASKS, Task
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.scoring import ACCURACY
from tests.attachment.networks import small


class ToyNetwork(nn.Module):
    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.body = small("resnet")
        self.output = nn.LazyLinear(outputs)
        self(torch.zeros(2, 3, 32, 32))

    def forward(self, images: Tensor) -> Tensor:
        return self.output(self.body(images).flatten(1))


class ToyTask(Task):
    outputs, batch, metric = 3, 4, ACCURACY

    def parts(self) -> dict[str, Dataset]:
        draws = torch.Generator().manual_seed(0)
        images = torch.randn(12, 3, 32, 32, generator=draws)
        part = TensorDataset(images, torch.arange(12) % 3)
        return dict.fromkeys(("train", "held_out", "val"), part)

    def loss(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(outputs, targets)

    def measure(self, outputs: Tensor, targets: Tensor) -> Tensor:
        return (outputs.argmax(dim=1) == targets).float()


@pytest.fixture
def run(monkeypatch):
    """Run the study's command line on the toy task, with trainings of four iterations."""
    monkeypatch.setitem(TASKS, "toy", ToyTask)
    monkeypatch.setattr(own_network, "Network", ToyNetwork)
    monkeypatch.setattr(own_network, "ITERATIONS", 4)

    def run(folder: Path, *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["own_network", "toy", "SE", str(folder), *arguments])
        own_network.main()

    return run


def test_a_supernet_that_was_half_written_is_trained_again(
    run, tmp_path: Path, monkeypatch
) -> None:
    def killed(content: object, file: Path) -> None:
        file.write_bytes(b"half")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(torch, "save", killed)
        run(tmp_path, "--parts", "masks")
    run(tmp_path, "--parts", "masks")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["masks.json", "supernet.pt"]


def test_a_folder_is_not_continued_with_other_arguments(run, tmp_path: Path) -> None:
    run(tmp_path, "--parts", "masks", "--attention-lr-factor", "2")
    with pytest.raises(ConfigError, match=r"expected attention_lr_factor 10.0, found 2.0"):
        run(tmp_path, "--parts", "truth")
    run(tmp_path, "--parts", "masks", "--attention-lr-factor", "2")


def losses(folder: Path) -> list[float]:
    scored = json.loads((folder / "masks.json").read_text())["masks"].values()
    return [scores["loss"] for scores in scored]


@pytest.mark.slow
def test_a_study_leaves_what_its_results_are_made_of(run, tmp_path: Path, monkeypatch) -> None:
    run(tmp_path, "--parts", "masks")
    assert sorted(file.name for file in tmp_path.iterdir()) == ["masks.json", "supernet.pt"]
    before = (tmp_path / "masks.json").stat().st_mtime_ns
    run(tmp_path, "--masks", "4", "--seeds", "1")
    assert (tmp_path / "masks.json").stat().st_mtime_ns == before  # continued
    importance = json.loads((tmp_path / "importance.json").read_text())
    blocks = json.loads((tmp_path / "masks.json").read_text())["about"]["blocks"]
    assert len(losses(tmp_path)) == 2 ** sum(blocks)
    assert set(map(len, importance.values())) == {sum(blocks)}
    times = json.loads((tmp_path / "times.json").read_text())
    assert min(times.values()) > 0
    few = {"surrogate": dict(type="SurrogateStrategy")}
    monkeypatch.setattr("benchmarks.own_network_judge.CONTESTANTS", few)
    own_network_results.write([tmp_path], seeds=1, out=tmp_path / "results")
    result = json.loads((tmp_path / "results.json").read_text())[0]
    assert {row["masks"] for row in result["proxies"]} == {4}
    assert all(row["fine_tuned"]["accuracy"] for row in result["compared"] if "mask" in row)


def test_attention_that_learns_faster_makes_masks_differ_more(run, tmp_path: Path) -> None:
    spreads = []
    for factor in ("1", "30"):
        run(tmp_path / factor, "--parts", "masks", "--attention-lr-factor", factor)
        spreads.append(max(losses(tmp_path / factor)) - min(losses(tmp_path / factor)))
    assert spreads[1] > 3 * spreads[0] > 0


@pytest.mark.slow
def test_tickets_are_measured_again_under_their_budgets(run, tmp_path: Path, monkeypatch) -> None:
    run(tmp_path, "--parts", "masks")
    monkeypatch.setattr(own_network_budget, "LATENCIES", ("latency",))  # nothing is compiled
    out = tmp_path / "budget.json"
    arguments = [str(tmp_path), "--size", "32", "--images", "2", "--rounds", "5"]
    monkeypatch.setattr(sys, "argv", ["own_network_budget", *arguments, "--out", str(out)])
    own_network_budget.main()
    rows = json.loads(out.read_text())["rows"]
    assert len(rows) == 3
    for share, row in zip(own_network_budget.SHARES, rows, strict=True):
        assert row["by_table"] <= share * row["full"] + 1e-3  # the table's budget is kept
        assert 0 <= row["rounds_within"] <= row["rounds"]
