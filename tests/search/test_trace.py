"""A trace can be read as it was written."""

from __future__ import annotations

from pathlib import Path

from ean_transfer.search.trace import TraceLine, append_trace, read_trace

VALUES = {"accuracy": 70.0, "loss": 1.0}


def test_is_read_as_it_was_written_but_for_a_line_cut_short(tmp_path: Path) -> None:
    file = tmp_path / "trace.jsonl"
    lines = [
        TraceLine(0, "10", VALUES, 0.5, 71.0, cached=False, policy=[0.5, 0.25], cost=12.5),
        TraceLine(1, "11", VALUES, 0.0, 71.0, cached=True, policy=None),
    ]
    append_trace(file, lines[:1])
    append_trace(file, lines[1:])
    assert read_trace(file) == lines
    file.write_text(file.read_text()[:-30])
    assert read_trace(file) == lines[:1]
    assert read_trace(tmp_path / "absent.jsonl") == []


def test_each_value_has_a_key_of_its_own_before_the_sparsity() -> None:
    line = TraceLine(0, "10", {"mae": 3.5, "loss": 1.0}, 0.5, -3.5, False, None)
    assert list(line.to_dict())[:5] == ["step", "mask", "mae", "loss", "sparsity"]
    assert TraceLine.from_dict(line.to_dict()) == line


def test_a_trace_from_before_costs_can_be_read(tmp_path: Path) -> None:
    (tmp_path / "trace.jsonl").write_text(
        '{"step": 0, "mask": "10", "accuracy": 70.0, "loss": 1.0, "sparsity": 0.5, '
        '"reward": 71.0, "cached": false, "policy": null}\n'
    )
    assert read_trace(tmp_path / "trace.jsonl")[0].cost is None
