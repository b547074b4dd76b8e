"""Configs by their paths, and by their names in the package."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.engine.config import load_config
from ean_transfer.engine.config_files import config_file, installed_configs
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS


@pytest.mark.parametrize(
    "name",
    [
        "ean_transfer.configs.segmentation.toy",
        "segmentation/toy",
        "segmentation/toy.py",
        "configs/segmentation/toy.py",
    ],
)
def test_a_config_of_the_package_is_known_by_name_anywhere(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert config_file(name).resolve() == CONFIGS / "segmentation/toy.py"
    (tmp_path / "segmentation").mkdir()
    own = tmp_path / "segmentation/toy"
    own.write_text("")
    assert config_file("segmentation/toy").resolve() == own  # a file that exists comes first


def test_a_users_config_anywhere_reads_the_packages(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from ean_transfer.configs.segmentation.toy import *\n"
        "train_dataloader.update(batch_size=3)\n"
    )
    cfg = load_config(file)
    assert cfg.train_dataloader.batch_size == 3 and cfg.val_dataloader.batch_size == 50


def test_a_name_that_is_none_is_told_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ConfigError, match=r"segmentation/toyy: .*did you mean segmentation/toy\?"):
        load_config("segmentation/toyy")


def test_all_configs_are_listed_with_their_first_line() -> None:
    lines = installed_configs()
    assert set(lines) == {
        file.relative_to(CONFIGS).with_suffix("").as_posix() for file in CONFIGS.glob("[!_]*/*.py")
    }
    assert (
        lines["segmentation/toy"]
        == "Segmentation in the toy world: an FCN head on the toy network."
    )
    assert set(installed_configs("CAMVID")) < set(lines)
    assert "_base_/models/fcn_resnet20_cifar" in installed_configs(bases=True)
