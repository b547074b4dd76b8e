"""Configs: read, changed from the command line, complete where a run leaves them."""

from __future__ import annotations

from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import MODELS

from ean_transfer.engine.config import (
    backbone_configs,
    config_hash,
    load_config,
    set_amp,
    set_tensorboard,
    set_ticket,
)
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
        ("modle.backbone.depth", "toy.py has no 'modle': did you mean model?"),
        ("nothing_like_it", "toy.py has no 'nothing_like_it'$"),
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
