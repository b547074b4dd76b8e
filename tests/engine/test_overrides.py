"""Options and changes that would change nothing are refused, with the keys that have an effect."""

from __future__ import annotations

from pathlib import Path

import pytest

from ean_transfer.engine.config import load_config
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS

TOY = CONFIGS / "segmentation/toy.py"
CAMVID = CONFIGS / "segmentation/fcn_resnet20_se_camvid_short.py"
CIFAR = CONFIGS / "classification/resnet20_se_cifar10_search_short.py"


@pytest.mark.parametrize(
    ("config", "option", "meant"),
    [
        (TOY, "max_epochs", ["train_cfg.max_epochs", "--epochs"]),
        (TOY, "num_classes", ["model.decode_head.num_classes", "--classes"]),
        (TOY, "backbone.depth", ["model.backbone.depth"]),
        (TOY, "data_preprocessor.size", ["model.data_preprocessor.size"]),
        (CAMVID, "max_iters", ["train_cfg.max_iters", "--iters"]),
        (CAMVID, "max_iter", ["did you mean train_cfg.max_iters"]),
        (CAMVID, "crop_size", ["data_preprocessor.size", "train_dataloader.dataset.pipeline.3."]),
        (CAMVID, "train_pipeline.3.crop_size", ["train_dataloader.dataset.pipeline.3.crop_size"]),
        (CAMVID, "norm_cfg.type", ["model.decode_head.norm_cfg.type"]),
        (CIFAR, "data_root", ["train_dataloader.dataset.dataset.data_root", "--data"]),
        (CAMVID, "max_epochs", ["--epochs"]),  # which it does not even have
        (CAMVID, "batch_size", ["train_dataloader.batch_size", "--batch-size"]),
        (CAMVID, "depth", ["model.backbone.depth"]),
        (CIFAR, "held_out_per_class", ["train_dataloader.dataset.per_class"]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_option_for_a_variable_is_refused(config: Path, option: str, meant: list[str]) -> None:
    with pytest.raises(ConfigError) as refused:
        load_config(config, {option: 3})
    message = str(refused.value)
    assert config.name in message and repr(option.partition(".")[0]) in message
    assert all(text in message for text in meant), message


@pytest.mark.parametrize(
    ("option", "switch"),
    [("resume", "--resume"), ("launcher", "--launcher"), ("experiment_name", "--work-dir")],
)
def test_an_option_that_the_command_line_overwrites_is_refused(option: str, switch: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}' is set by the command line: use {switch}"):
        load_config(TOY, {option: "x"})


def test_a_preprocessor_that_becomes_the_models_is_no_variable(tmp_path: Path) -> None:
    (tmp_path / "config.py").write_text(
        "model = dict(type='ImageClassifier')\ndata_preprocessor = dict(mean=[1.0])\n"
    )
    cfg = load_config(tmp_path / "config.py", {"data_preprocessor.mean": [2.0]})
    assert cfg.model.data_preprocessor.mean == [2.0]


def test_elements_of_lists_are_named_by_their_types() -> None:
    options = {"param_scheduler.LinearLR.end": 7, "custom_hooks.ChannelsLastHook.priority": "LOW"}
    cfg = load_config(CAMVID, options)
    assert [step["end"] for step in cfg.param_scheduler] == [7, 1000]
    assert cfg.custom_hooks[0]["priority"] == "LOW"
    with pytest.raises(ConfigError, match="LinearLR, PolyLR; found PolyRL"):
        load_config(CAMVID, {"param_scheduler.PolyRL.end": 7})


READ = "from mmengine.config import read_base\nwith read_base():\n    from .base import *\n"
BASE = """
train_pipeline = [dict(type="LoadImage"), dict(type="RandomCrop", crop_size=8)]
test_pipeline = [dict(type="LoadImage")]
norm = dict(type="BN")
backbone = dict(type="ResNet", norm_cfg=norm)
train_dataloader = dict(dataset=dict(type="Images", pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(type="Images", pipeline=test_pipeline))
optim_wrapper = dict(type="OptimWrapper")
"""


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ("train_pipeline[1].update(crop_size=4)", "train_dataloader.dataset.pipeline"),
        ("train_pipeline.append(dict(type='Flip'))", "train_dataloader.dataset.pipeline"),
        ("test_pipeline = [dict(type='Load')]", "val_dataloader.dataset.pipeline"),
        ("backbone.update(depth=18)", None),  # the base builds no model of it
        ("test_pipeline = [dict(type='Load')]\nval_dataloader = None", None),
        (
            "train_pipeline[1].update(crop_size=4)\n"
            "train_dataloader['dataset'].update(pipeline=train_pipeline)",
            None,
        ),
        ("train_dataloader['dataset'].update(pipeline=train_pipeline[:1])", None),
        ("both = train_pipeline + test_pipeline", None),
        ("max_epochs = 3", None),
    ],
)
def test_a_changed_variable_that_nothing_uses_is_refused(
    tmp_path: Path, change: str, place: str | None
) -> None:
    (tmp_path / "base.py").write_text(BASE)
    (tmp_path / "mine.py").write_text(f"{READ}{change}\n")
    if place is None:
        load_config(tmp_path / "mine.py")
        return
    with pytest.raises(ConfigError, match="mine.py: .* was changed") as refused:
        load_config(tmp_path / "mine.py")
    assert place in str(refused.value)


def test_a_changed_model_part_is_refused_where_the_model_has_the_bases(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(
        "from mmengine.config import read_base\n"
        "with read_base():\n    from ean_transfer.configs.segmentation.toy import *\n"
        "backbone.update(depth=20)\n"
    )
    with pytest.raises(ConfigError, match="backbone was changed, but model.backbone still"):
        load_config(tmp_path / "mine.py")
