"""Transforms are changed by their names, in the data sets' own pipelines."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.engine.config import load_config
from ean_transfer.engine.pipelines import change_transform
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS

CAMVID = CONFIGS / "segmentation/fcn_resnet20_se_camvid_short.py"
ALBU = CONFIGS / "segmentation/fcn_resnet20_se_camvid_albu.py"


def options_of(cfg, part: str, index: int) -> dict:
    return cfg[f"{part}_dataloader"].dataset.pipeline[index]


def test_an_option_names_a_transform() -> None:
    options = {"pipeline.RandomCrop.crop_size": (64, 64), "pipeline.Resize.scale": (120, 90)}
    cfg = load_config(CAMVID, options)
    assert options_of(cfg, "train", 3)["crop_size"] == (64, 64)
    assert [options_of(cfg, part, 1)["scale"] for part in ("val", "test")] == [(120, 90)] * 2
    assert options_of(cfg, "train", 2)["scale"] == (240, 180)  # RandomResize is another
    one = load_config(CAMVID, {"val_dataloader.dataset.pipeline.Resize.scale": (60, 45)})
    assert [options_of(one, part, 1)["scale"][0] for part in ("val", "test")] == [60, 240]


def test_a_transform_within_another_has_a_name_too() -> None:
    cfg = load_config(ALBU, {"pipeline.Rotate.limit": 30})
    assert options_of(cfg, "train", 5)["transforms"][0]["limit"] == 30


def test_the_pipeline_within_a_wrapped_data_set_is_changed() -> None:
    config = CONFIGS / "classification/resnet20_se_cifar10_search_short.py"
    cfg = load_config(config, {"pipeline.RandomCrop.padding": 2})
    assert cfg.train_dataloader.dataset.dataset.pipeline[0].padding == 2


@pytest.mark.parametrize(
    ("name", "there"), [("RandomCorp", "LoadImage, .*RandomCrop"), ("LoadImag", "LoadImage")]
)
def test_a_name_that_is_not_there_is_refused(name: str, there: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} in a data set's pipeline, found .*{there}"):
        load_config(CAMVID, {f"pipeline.{name}.prob": 1})


def test_a_name_that_occurs_twice_in_a_pipeline_is_refused() -> None:
    flip = dict(type="RandomFlip", prob=0.5)
    loader = dict(dataset=dict(pipeline=[flip, dict(flip)]))
    with pytest.raises(ConfigError, match=r"found dataset.pipeline.0 and dataset.pipeline.1"):
        change_transform(loader, "RandomFlip", prob=0.1)
    assert flip["prob"] == 0.5


def test_a_config_changes_a_transform_by_its_name(tmp_path: Path) -> None:
    config = tmp_path / "mine.py"
    head = (
        "from mmengine.config import read_base\nwith read_base():\n"
        "    from ean_transfer.configs.segmentation.fcn_resnet20_se_camvid_short import *\n"
        "    from ean_transfer.configs._base_.change_transform import *\n"
    )
    config.write_text(f"{head}change_transform(train_dataloader, 'RandomCrop', crop_size=(9, 9))\n")
    cfg = load_config(config)
    assert options_of(cfg, "train", 3)["crop_size"] == (9, 9) and "change_transform" not in cfg
    config.write_text(f"{head}change_transform(train_dataloader, 'RandomCorp', crop_size=(9, 9))\n")
    with pytest.raises(ConfigError, match="mine.py: .*RandomCorp"):
        load_config(config)
