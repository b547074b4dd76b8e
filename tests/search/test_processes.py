"""One process or several: the same trace and the same ticket."""

from __future__ import annotations

import json
import os
import socket
from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from ean_transfer.engine.config import load_config
from ean_transfer.engine.training import train
from ean_transfer.search.run import run_search
from tests.helpers import ROOT


def tiny(name: str) -> Config:
    cfg = load_config(ROOT / f"configs/classification/{name}.py")
    cfg.merge_from_dict(
        {
            "train_dataloader.dataset.length": 64,
            "val_dataloader.dataset.length": 40,
            "val_dataloader.batch_size": 16,
        }
    )
    cfg.train_cfg.max_epochs, cfg.param_scheduler, cfg.log_level = 1, [], "WARNING"
    return cfg


def _search(rank: int, world: int, port: int, supernet: str, folder: str) -> None:
    """What torchrun starts in each process."""
    os.environ.update(
        RANK=str(rank),
        LOCAL_RANK=str(rank),
        WORLD_SIZE=str(world),
        MASTER_ADDR="127.0.0.1",
        MASTER_PORT=str(port),
    )
    torch.set_num_threads(1)
    cfg = tiny("toy_search")
    # Seeds that differ by rank, as some set them for augmentation, must not part the searches.
    cfg.merge_from_dict({"search.steps": 5, "randomness.diff_rank_seed": True})
    run_search(cfg, folder, supernet=supernet, launcher="pytorch")


@pytest.mark.slow
def test_one_two_and_four_processes_give_the_same_trace_and_ticket(tmp_path: Path) -> None:
    train(tiny("toy_supernet"), tmp_path / "supernet")
    traces, tickets = [], []
    for world in (1, 2, 4):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        folder = tmp_path / str(world)
        arguments = (world, port, str(tmp_path / "supernet/epoch_1.pth"), str(folder))
        # Forked and not started anew: importing the libraries takes longer than the search.
        torch.multiprocessing.start_processes(_search, arguments, nprocs=world, start_method="fork")
        traces.append((folder / "trace.jsonl").read_text())
        ticket = json.loads((folder / "ticket.json").read_text())
        del ticket["provenance"]["date"]
        tickets.append(ticket)
    assert traces[0] == traces[1] == traces[2]
    assert tickets[0] == tickets[1] == tickets[2]
