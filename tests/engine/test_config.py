"""Configs: read, changed from the command line, complete where a run leaves them."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.engine.config import (
    backbone_configs,
    config_hash,
    load_config,
    set_amp,
    set_ticket,
)
from ean_transfer.engine.recipe import set_tensorboard
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket import Ticket, TicketError
from tests.helpers import CONFIGS

CONFIG = CONFIGS / "classification" / "toy.py"


@pytest.mark.parametrize("own", ["", ", data_preprocessor=dict(mean=[7.0])"])
def test_a_preprocessor_beside_the_model_is_the_models(tmp_path: Path, own: str) -> None:
    text = f"model = dict(type='ImageClassifier'{own})\ndata_preprocessor = dict(mean=[1.0])\n"
    (tmp_path / "config.py").write_text(text)
    model = load_config(tmp_path / "config.py").model
    assert model.data_preprocessor.mean == [7.0 if own else 1.0]  # its own comes first


@pytest.mark.parametrize("text", [None, "model = dict(", "1 / 0"])
def test_what_is_no_config_is_refused_by_name(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "config.py").write_text(text)
    with pytest.raises(ConfigError, match=r"config.py: not a valid config \(.+\)"):
        load_config(tmp_path / "config.py")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("modle.backbone.depth", "toy.py: no 'modle': did you mean model?"),
        ("nothing_like_it", "toy.py: no 'nothing_like_it'$"),
        ("model.backbone.depth.more", "do not fit .*toy.py"),
    ],
)
def test_options_for_nothing_are_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load_config(CONFIG, {option: 20})
    load_config(CONFIG, {"load_from": "file.pth", "visualizer.type": "Visualizer"})


def test_a_ticket_s_fields_go_into_the_config(tmp_path: Path) -> None:
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar").replace(provenance={"seed": 3})
    file = ticket.save(tmp_path / "ticket.json")
    cfg = load_config(CONFIG)
    set_ticket(cfg, str(file))
    file.unlink()
    cfg.dump(tmp_path / "dumped.py")
    for config in (cfg, load_config(tmp_path / "dumped.py")):
        built = find_backbone(MODELS.build(config.model)).ticket
        assert built.stages == ticket.stages and built.provenance == {"seed": 3}
    for word in ("none", "full"):
        set_ticket(cfg, word)
        assert [backbone.ticket for backbone in backbone_configs(cfg.model)] == [word]
    with pytest.raises(TicketError, match="ticket.json"):
        set_ticket(cfg, str(file))
    with pytest.raises(ConfigError, match="needs a ticketed backbone.*found none"):
        set_ticket(Config(dict(model=dict(type="ImageClassifier"))), "none")


@pytest.mark.slow
@pytest.mark.parametrize("amp", [False, True])
def test_the_config_that_a_run_leaves_can_be_used(toy, tmp_path: Path, amp: bool) -> None:
    cfg = toy("classification/toy")
    if amp:
        set_amp(cfg)
    set_tensorboard(cfg)
    train(cfg, tmp_path / "run")
    (left,) = (tmp_path / "run").glob("*.py")
    again = train(load_config(left), tmp_path / "again")
    assert type(again.optim_wrapper).__name__ == ("BFloat16OptimWrapper" if amp else "OptimWrapper")


def test_amp_refuses_an_optimiser_wrapper_of_another_kind() -> None:
    cfg = Config(dict(optim_wrapper=dict(type="Mine", optimizer=dict(type="SGD"))))
    with pytest.raises(ConfigError, match="has Mine"):
        set_amp(cfg)


def test_hashes_on_disk_stay_valid_and_a_dump_changes_none(tmp_path: Path) -> None:
    assert config_hash({"part": {"b": 1, "a": ["x"]}}) == "bad188b49db6842d"
    cfg = load_config(CONFIG)
    cfg.dump(tmp_path / "dumped.py")
    dumped = load_config(tmp_path / "dumped.py")
    one, other = (config_hash({"part": c.train_dataloader.dataset}) for c in (cfg, dumped))
    assert one == other


BASE = "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n"


@pytest.mark.parametrize(
    "code",
    [
        "import os\nvalue = os.path.join('a', 'b')",
        "import os.path as osp\nvalue = osp.join('a', 'b')",
        "from os import path\nvalue = path.join('a', 'b')",
        "import json\nwith open(__file__) as stream:\n    value = stream.read(3) and 'a/b'",
        "import threading\nlock = threading.Lock()\nvalue = 'a/b'",
        "def join(*parts):\n    return '/'.join(parts)\nvalue = join('a', 'b')",
        "join = lambda *parts: '/'.join(parts)\nvalue = join('a', 'b')",
        "parts = (part for part in 'ab')\nvalue = '/'.join(parts)",
    ],
)
def test_what_a_configs_code_uses_is_no_part_of_it(tmp_path: Path, code: str) -> None:
    (tmp_path / "base.py").write_text("x = dict(y=1)\n")
    (tmp_path / "config.py").write_text(f"{BASE}{code}\n")
    cfg = copy.deepcopy(load_config(tmp_path / "config.py"))
    assert cfg.value == "a/b" and cfg.x.y == 1
    cfg.dump(tmp_path / "dumped.py")
    assert load_config(tmp_path / "dumped.py").value == "a/b"


def test_what_cannot_be_a_value_is_told_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "base.py").write_text("x = dict(y=1)\n")
    (tmp_path / "config.py").write_text(f"{BASE}import os\nx.update(y=[os])\n")
    with pytest.raises(ConfigError, match="config.py: expected values and types in 'x'"):
        load_config(tmp_path / "config.py")
    (tmp_path / "config.py").write_text(f"{BASE}import numpy as np\nx.update(y=float(np.pi))\n")
    with pytest.raises(ConfigError, match="not a valid config .*write the value itself"):
        load_config(tmp_path / "config.py")
