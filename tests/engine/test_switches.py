"""Batch size, data and classes of a config."""

from __future__ import annotations

import pytest
from mmengine.config import Config
from mmengine.registry import DATASETS

from ean_transfer.engine.config import load_config
from ean_transfer.engine.switches import set_batch_size, set_classes, set_data_root
from ean_transfer.errors import ConfigError
from tests.helpers import CONFIGS


def load(name: str) -> Config:
    return load_config(CONFIGS / f"{name}.py")


def test_a_batch_size_is_that_of_one_loader() -> None:
    cfg = load("classification/toy")
    set_batch_size(cfg, "train_dataloader", 5)
    assert [cfg[f"{part}_dataloader"].batch_size for part in ("train", "val")] == [5, 250]
    cfg.train_dataloader.batch_sampler = dict(type="AspectRatioBatchSampler")
    with pytest.raises(ConfigError, match="toy.py has a batch_sampler"):
        set_batch_size(cfg, "train_dataloader", 5)


def test_all_data_sets_are_read_from_the_new_root() -> None:
    cfg = load("classification/resnet20_se_cifar10_search_short")
    set_data_root(cfg, "data/mine")
    assert cfg.train_dataloader.dataset.dataset.data_root == "data/mine"
    assert cfg.val_dataloader.dataset.dataset.data_root == "data/mine"
    assert cfg.test_dataloader.dataset.data_root == "data/mine"
    assert "data/cifar10" not in str({part: cfg[f"{part}_dataloader"] for part in ("train", "val")})


def test_a_config_without_one_root_is_refused() -> None:
    with pytest.raises(ConfigError, match="--data x: .*toy.py has none"):
        set_data_root(load("classification/toy"), "x")
    cfg = load("segmentation/fcn_resnet20_se_camvid_short")
    cfg.test_dataloader.dataset.data_root = "data/other"
    with pytest.raises(ConfigError, match="test_dataloader.dataset.data_root=data/other"):
        set_data_root(cfg, "x")


def test_a_number_of_classes_goes_into_heads_preprocessor_and_metrics() -> None:
    cfg = load("classification/resnet50_se_imagenet")
    cfg.test_evaluator = [dict(type="Accuracy", topk=(1, 5)), dict(type="F1", num_classes=1000)]
    set_classes(cfg, 3)
    assert cfg.model.head.num_classes == cfg.model.data_preprocessor.num_classes == 3
    assert cfg.model.head.topk == cfg.test_evaluator[0].topk == (1,)  # no five of three
    assert cfg.test_evaluator[1].num_classes == 3
    assert "num_classes" not in cfg.model.backbone
    both = load("segmentation/fcn_resnet50_d8_sge_camvid")
    set_classes(both, 3)
    assert both.model.decode_head.num_classes == both.model.auxiliary_head.num_classes == 3


def test_names_of_classes_go_into_the_data_sets(tmp_path) -> None:
    for name in ("cat", "dog"):
        (tmp_path / "train" / name).mkdir(parents=True)
    cfg = load("classification/resnet20_se_cifar10_search_short")
    set_classes(cfg, ["dog", "cat"])
    inner = cfg.train_dataloader.dataset.dataset
    assert inner.classes == ("dog", "cat") and cfg.model.head.num_classes == 2
    camvid = load("segmentation/fcn_resnet20_se_camvid_short")
    set_classes(camvid, ["Sky", "Tree"])
    dataset = dict(camvid.test_dataloader.dataset, data_root=str(tmp_path), lazy_init=True)
    assert DATASETS.build(dataset).metainfo["classes"] == ("Sky", "Tree")
    toy = load("classification/toy")  # whose data set has its own, which ClassCountHook compares
    set_classes(toy, ["a", "b"])
    assert toy.model.head.num_classes == 2 and "metainfo" not in toy.train_dataloader.dataset


def test_a_number_is_no_name() -> None:
    cfg = load("segmentation/toy")
    cfg.train_dataloader.dataset = dict(
        type="CheckedSegDataset", metainfo=dict(classes=("sky", "tree"), palette=[[0] * 3] * 2)
    )
    with pytest.raises(ConfigError, match=r"name 2 classes \(sky ... tree\): expected 3 names"):
        set_classes(cfg, 3)
    set_classes(cfg, ["a", "b", "c"])
    assert cfg.train_dataloader.dataset.metainfo == dict(classes=("a", "b", "c"))


def test_classes_that_nothing_fits_are_refused() -> None:
    with pytest.raises(ConfigError, match="toy.py has none"):
        set_classes(load("crowd_counting/toy"), 3)
    cfg = load("segmentation/toy")
    cfg.model.decode_head.loss_decode.class_weight = [1.0] * 7
    with pytest.raises(ConfigError, match="expected 3 class_weight .* has 7"):
        set_classes(cfg, 3)
