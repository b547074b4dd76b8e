"""From a config file to a runner: what goes wrong is said before anything is written."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.errors import ConfigError
from ean_transfer.launch import build_runner, load_config, require_new_work_dir
from ean_transfer.training import train


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


def test_processes_that_torchrun_did_not_start_are_refused(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("RANK", raising=False)
    with pytest.raises(ConfigError, match="takes processes that torchrun starts"):
        build_runner(toy("classification/toy"), tmp_path / "run", launcher="pytorch")
    assert not (tmp_path / "run").exists()
