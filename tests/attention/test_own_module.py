"""The module of one's own in the docs: registered from outside, and a ticket searched for it."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path

import pytest
import torch

from ean_transfer import build_backbone
from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.engine.config import load_config
from ean_transfer.registry import ATTENTION
from ean_transfer.search.run import run_search
from ean_transfer.ticket import Ticket
from tests.helpers import ROOT


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The documentation's two files, beside a copy of the configs."""
    text = (ROOT / "docs/attention.md").read_text(encoding="utf-8")
    section = text[text.index("## One of your own") :]
    module, config = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)[:2]
    assert len(module.strip().splitlines()) < 30
    (tmp_path / "gct.py").write_text(module, encoding="utf-8")
    shutil.copytree(ROOT / "configs", tmp_path / "configs")
    file = tmp_path / "configs/classification/toy_gct_search.py"
    file.write_text(config, encoding="utf-8")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield file
    sys.modules.pop("gct", None)
    ATTENTION.module_dict.pop("GCT", None)


@pytest.mark.slow
def test_a_ticket_is_searched_for_it(config: Path, tmp_path: Path) -> None:
    tiny = {
        "train_dataloader.dataset.length": 32,
        "val_dataloader.dataset.length": 40,
        "train_cfg.max_epochs": 1,
        "param_scheduler": [],
        "search.steps": 3,
        "search.last_steps": 2,
        "search.supernets": 1,
    }
    ticket = run_search(load_config(config, tiny), tmp_path / "search", quiet=True)
    assert ticket.attention == "GCT" and ticket.attention_options == {"epsilon": 1e-5}
    # Any network takes the ticket, as it does those of our modules.
    ticket = Ticket.load(tmp_path / "search" / "ticket.json")
    net = build_backbone("resnet14_cifar", "GCT", ticket=ticket, base_channels=8).eval()
    widths = (8, 16, 32)
    connected = [width for width, bits in zip(widths, ticket.stages, strict=True) if "1" in bits]
    assert count_attention_parameters(net) == 3 * sum(connected)
    assert net(torch.zeros(1, 3, 16, 16))[0].shape == (1, 32, 4, 4)
