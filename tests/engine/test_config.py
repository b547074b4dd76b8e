"""From a config file to a runner: what goes wrong is said before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.engine.config import add_tensorboard, load_config, set_amp
from ean_transfer.engine.runner import build_runner, require_new_work_dir
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from tests.helpers import ROOT

CONFIG = ROOT / "configs" / "classification" / "toy.py"


@pytest.mark.parametrize("own", ["", ", data_preprocessor=dict(mean=[7.0])"])
def test_a_preprocessor_beside_the_model_is_the_models(tmp_path: Path, own: str) -> None:
    text = f"model = dict(type='ImageClassifier'{own})\ndata_preprocessor = dict(mean=[1.0])\n"
    (tmp_path / "config.py").write_text(text)
    model = load_config(tmp_path / "config.py").model
    assert model.data_preprocessor.mean == [7.0 if own else 1.0]  # its own comes first


def test_a_finished_training_is_not_overwritten(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    require_new_work_dir(cfg, tmp_path)
    train(cfg, tmp_path, quiet=True)
    for given in (tmp_path, None):
        cfg.work_dir = None if given else str(tmp_path)
        with pytest.raises(ConfigError, match=f"{tmp_path}: holds the checkpoints.*--resume"):
            require_new_work_dir(cfg, given)


@pytest.mark.parametrize("amp", [False, True])
def test_the_config_that_a_run_leaves_can_be_used(toy, tmp_path: Path, amp: bool) -> None:
    cfg = toy("classification/toy")
    if amp:
        set_amp(cfg)
    add_tensorboard(cfg)
    train(cfg, tmp_path / "run")
    (left,) = (tmp_path / "run").glob("*.py")
    again = train(load_config(left), tmp_path / "again")
    assert type(again.optim_wrapper).__name__ == ("BFloat16OptimWrapper" if amp else "OptimWrapper")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("modle.backbone.depth", "toy.py has no 'modle': did you mean model?"),
        ("nothing_like_it", "toy.py has no 'nothing_like_it'$"),
    ],
)
def test_options_for_nothing_are_refused(option: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message.replace("?", r"\?")):
        load_config(CONFIG, {option: 20})
    load_config(CONFIG, {"load_from": "file.pth", "visualizer.type": "Visualizer"})


@pytest.mark.parametrize("name", ["study/toy", "_base_/schedules/cifar_2epochs"])
def test_a_config_without_a_model_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="expected a config with a model, found none"):
        build_runner(load_config(ROOT / "configs" / f"{name}.py"), tmp_path / "run")


def test_processes_that_torchrun_did_not_start_are_refused(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="takes processes that it started"):
        build_runner(toy("classification/toy"), tmp_path / "run", launcher="pytorch")
    assert not (tmp_path / "run").exists()
