"""A search on segmentation and on counting itself, from a config."""

from __future__ import annotations

import pytest

from ean_transfer.search.pareto import Pareto
from ean_transfer.search.run import run_search
from ean_transfer.search.search_result import SearchResult
from ean_transfer.search.trace import read_trace
from ean_transfer.search.verdict import Verdict


@pytest.mark.parametrize(
    ("task", "metric", "quality"),
    [("segmentation", "miou", "loss"), ("crowd_counting", "mae", "mae")],
)
def test_masks_are_compared_by_the_tasks_own_score(
    toy, tmp_path, monkeypatch, task, metric, quality
) -> None:
    def search(folder):
        cfg = toy(f"{task}/toy_search", search=dict(steps=2, last_steps=2, supernets=1))
        return run_search(cfg, folder, quiet=True)

    ticket = search(tmp_path)
    lines = read_trace(tmp_path / "trace.jsonl")
    assert len(lines) == 6
    assert all(line.values.keys() == {metric, "loss"} for line in lines)
    verdict = Verdict.load(tmp_path / "verdict.json")
    assert verdict.quality == quality and verdict.masks["ticket"].mask == "".join(ticket.stages)
    assert metric in Pareto.load(tmp_path / "pareto.json").points[0].values
    monkeypatch.setattr(SearchResult, "figure", lambda *_: None)
    assert search(tmp_path / "again").mask == ticket.mask
    assert read_trace(tmp_path / "again/trace.jsonl") == lines
