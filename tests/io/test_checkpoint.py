"""Checkpoints: tensors and plain data are read, anything else is refused by name."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest
import torch
from mmengine.runner.checkpoint import load_checkpoint

from ean_transfer.errors import CheckpointError
from ean_transfer.io.checkpoint import forbid_unsafe_loading, read_checkpoint
from ean_transfer.ticket import TicketError
from ean_transfer.ticket.files import ticket_of


class Malicious:
    def __reduce__(self):
        return (os.system, ("echo harm",))


def test_a_file_with_code_is_refused_by_name_and_never_run(
    tmp_path: Path, capfd: pytest.CaptureFixture
) -> None:
    file = tmp_path / "evil.pth"
    torch.save({"state_dict": {}, "meta": Malicious()}, file)
    with pytest.raises(CheckpointError, match=r"evil.pth: refused.*(system|posix)"):
        read_checkpoint(file)
    forbid_unsafe_loading()
    with pytest.raises(CheckpointError, match="refused"):  # mmengine's door is closed too
        load_checkpoint(torch.nn.Linear(1, 1), str(file))
    assert "harm" not in capfd.readouterr().out


def test_missing_and_broken_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(CheckpointError, match="gone.pth: no such checkpoint"):
        read_checkpoint(tmp_path / "gone.pth")
    whole = tmp_path / "whole.pth"
    torch.save({"state_dict": {"fc.weight": torch.zeros(64)}}, whole)
    for content in (b"", b"not a checkpoint", b"hello world", b"{}", whole.read_bytes()[:-300]):
        (tmp_path / "broken.pth").write_bytes(content)
        with pytest.raises(CheckpointError, match="broken.pth: cannot be read") as caught:
            read_checkpoint(tmp_path / "broken.pth")
        assert "weights_only" not in str(caught.value)  # no advice to load it unsafely
    with (tmp_path / "old.pth").open("wb") as stream:
        pickle.dump([1, 2], stream)
    with pytest.raises(CheckpointError, match="old.pth"):
        read_checkpoint(tmp_path / "old.pth")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"meta": [1]}, "its meta to be a dict, found list"),
        ({"state_dict": None}, "its state_dict to be a dict, found NoneType"),
        ({"state_dict": {"fc.weight": [1.0]}}, "found 'fc.weight': list"),
        ({"state_dict": {7: torch.zeros(1)}}, "found 7: Tensor"),
    ],
)
def test_a_dict_of_other_things_is_refused(tmp_path: Path, content: dict, message: str) -> None:
    torch.save(content, tmp_path / "other.pth")
    with pytest.raises(CheckpointError, match=f"other.pth: expected.*{message}"):
        read_checkpoint(tmp_path / "other.pth")


@pytest.mark.parametrize("ticket", ["110", [1], {7: "110"}])
def test_what_is_no_ticket_in_a_checkpoint_is_refused(ticket) -> None:
    with pytest.raises(TicketError):
        ticket_of({"meta": {"ticket": ticket}})
