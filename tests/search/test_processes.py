"""One process or several: the same trace and the same ticket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ean_transfer.engine.training import train
from ean_transfer.search.run import run_search


def _search(rank: int, cfg: Config, world: int, port: int, supernet: str, folder: str) -> None:
    """What torchrun starts in each process."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    run_search(cfg, folder, supernet=supernet, launcher="pytorch")


@pytest.mark.slow
def test_one_two_and_four_processes_give_the_same_trace_and_ticket(toy, tmp_path: Path) -> None:
    train(toy("classification/toy_supernet"), tmp_path / "supernet")
    # Seeds that differ by rank, as some set them for augmentation, must not part the searches.
    cfg = toy("classification/toy_search", **{"search.steps": 5, "randomness.diff_rank_seed": True})
    traces, tickets = [], []
    for world in (1, 2, 4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = tmp_path / str(world)
        arguments = (cfg, world, port, str(tmp_path / "supernet/epoch_1.pth"), str(folder))
        # Forked and not started anew: importing the libraries takes longer than the search.
        torch.multiprocessing.start_processes(_search, arguments, nprocs=world, start_method="fork")
        traces.append((folder / "trace.jsonl").read_text())
        ticket = json.loads((folder / "ticket.json").read_text())
        del ticket["provenance"]["date"]
        tickets.append(ticket)
    assert traces[0] == traces[1] == traces[2]
    assert tickets[0] == tickets[1] == tickets[2]
