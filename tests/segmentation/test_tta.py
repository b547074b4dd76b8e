"""Test-time augmentation: what is swapped, what is averaged, whose checkpoint it takes."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.registry import DATASETS, MODELS
from mmseg.models.losses import CrossEntropyLoss
from torch.nn.functional import interpolate

from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.training import evaluate
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import ConfigError
from ean_transfer.segmentation.tta import SegmentationTTA, set_tta
from ean_transfer.ticket import TicketError
from tests.helpers import CONFIGS
from tests.segmentation.helpers import write_pairs

TOY = ("toy", "toy_supernet", "toy_search")  # the toy world is drawn in one size
WITH_TTA = [
    file for file in sorted((CONFIGS / "segmentation").glob("*.py")) if file.stem not in TOY
]


@pytest.fixture
def cfg(tmp_path: Path) -> Config:
    """The short CamVid config, on a thinner network and two small frames of noise."""
    write_pairs(tmp_path, 2, "val", classes=12)
    cfg = load_config(CONFIGS / "segmentation" / "fcn_resnet20_se_camvid_short.py")
    cfg.model.backbone.depth = 8
    cfg.model.decode_head.channels = 8
    cfg.test_dataloader.dataset.data_root = str(tmp_path)
    cfg.test_dataloader.dataset.pipeline[1].scale = (32, 24)  # half of the frames
    cfg.test_dataloader.dataset.serialize_data = False  # which collects garbage, for seconds
    cfg.log_level = "WARNING"
    return cfg


def test_model_and_test_pipeline_are_swapped_and_nothing_else(cfg: Config) -> None:
    before = copy.deepcopy(cfg)
    set_tta(cfg)
    assert cfg.model.module == before.model
    assert isinstance(MODELS.build(copy.deepcopy(cfg.model)), SegmentationTTA)
    first, augmentation = cfg.test_dataloader.dataset.pipeline
    assert first == before.tta_pipeline[0]
    assert augmentation.transforms[1:] == before.tta_pipeline[1].transforms[1:]
    assert cfg.val_dataloader == before.val_dataloader
    assert cfg.train_dataloader == before.train_dataloader


def test_an_image_has_six_sizes_each_also_mirrored(cfg: Config) -> None:
    set_tta(cfg)
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    shapes = [tuple(image.shape[1:]) for image in item["inputs"]]
    sizes = [(12, 16), (18, 24), (24, 32), (30, 40), (36, 48), (42, 56)]  # of the test's 24 x 32
    assert shapes == [size for size in sizes for _ in range(2)]
    assert [sample.flip for sample in item["data_samples"]] == [False, True] * 6
    assert torch.equal(item["inputs"][4].flip(2), item["inputs"][5])
    labels = {sample.gt_sem_seg.shape for sample in item["data_samples"]}
    assert labels == {(48, 64)}  # as in the file, whatever the image's size


@pytest.mark.parametrize("name", [file.stem for file in WITH_TTA])
def test_sizes_are_relative_to_the_one_that_the_config_tests_at(name: str) -> None:
    cfg = load_config(CONFIGS / "segmentation" / f"{name}.py")
    tested = {**cfg.test_dataloader.dataset.pipeline[1]}
    width, height = tested["scale"]
    set_tta(cfg)
    sizes = [{**step} for step in cfg.test_dataloader.dataset.pipeline[1].transforms[0]]
    assert sizes[2] == tested
    assert [step["scale"] for step in sizes] == [
        (round(factor * width), round(factor * height))
        for factor in (0.5, 0.75, 1, 1.25, 1.5, 1.75)
    ]


def test_sizes_are_relative_to_the_file_where_the_test_does_not_resize(cfg: Config) -> None:
    del cfg.test_dataloader.dataset.pipeline[1]
    set_tta(cfg)
    shapes = [image.shape[1:] for image in DATASETS.build(cfg.test_dataloader.dataset)[0]["inputs"]]
    assert shapes[::2] == [(24, 32), (36, 48), (48, 64), (60, 80), (72, 96), (84, 112)]


def test_the_config_that_a_test_leaves_can_be_loaded(cfg: Config, tmp_path: Path) -> None:
    set_tta(cfg)
    cfg.dump(tmp_path / "left.py")
    left = load_config(tmp_path / "left.py")
    assert left.model.type == "ean_transfer.segmentation.tta.SegmentationTTA"
    sizes = left.test_dataloader.dataset.pipeline[1].transforms[0]
    assert [step.scale for step in sizes][::5] == [(16, 12), (56, 42)]


def test_probabilities_of_all_versions_are_averaged(cfg: Config) -> None:
    set_tta(cfg)
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    torch.nn.init.normal_(model.module.decode_head.conv_seg.weight, std=3.0)
    with torch.no_grad():
        (averaged,) = model.test_step(pseudo_collate([copy.deepcopy(item)]))

        total = torch.zeros(11, 48, 64)
        for index, image in enumerate(item["inputs"]):
            batch = {"inputs": [image], "data_samples": [item["data_samples"][index]]}
            scores = model.module(model.module.data_preprocessor(batch)["inputs"])
            scores = interpolate(scores, image.shape[1:], mode="bilinear")
            scores = scores.flip(3) if index % 2 else scores  # the mirrored version
            total += interpolate(scores, (48, 64), mode="bilinear").softmax(1)[0]
    expected = total.argmax(0)
    assert len(expected.unique()) > 3
    agreement = (averaged.pred_sem_seg.data[0] == expected).float().mean()
    assert agreement > 0.999  # equal but for ties in rounding
    assert torch.equal(averaged.gt_sem_seg.data, item["data_samples"][0].gt_sem_seg.data)


def test_one_output_for_two_classes_is_compared_with_the_heads_threshold(cfg: Config) -> None:
    sigmoid = dict(type=CrossEntropyLoss, use_sigmoid=True)
    cfg.model.decode_head.update(num_classes=2, out_channels=1, loss_decode=sigmoid)
    set_tta(cfg)
    item = DATASETS.build(cfg.test_dataloader.dataset)[0]
    torch.manual_seed(0)
    model = MODELS.build(cfg.model).eval()
    with torch.no_grad():
        scores = [
            model.module.test_step({"inputs": [image], "data_samples": [sample]})[0].seg_logits.data
            for image, sample in zip(item["inputs"], item["data_samples"], strict=True)
        ]
        mean = torch.stack(scores).mean(dim=0)
        model.module.decode_head.threshold = threshold = float(mean.median())
        (averaged,) = model.test_step(pseudo_collate([copy.deepcopy(item)]))
    assert mean.min() < threshold < mean.max()
    assert torch.equal(averaged.pred_sem_seg.data, (mean > threshold).float())


@pytest.mark.slow
def test_a_test_takes_the_models_own_checkpoint_and_its_ticket(cfg: Config, tmp_path: Path) -> None:
    needed = {"model", "data_preprocessor", "default_scope", "env_cfg", "randomness", "log_level"}
    for key in list(cfg):  # the runner prints the config four times, which takes a while
        if key not in needed and not key.startswith(("test_", "tta_")):
            cfg.pop(key)
    set_ticket(cfg, "full")
    torch.manual_seed(0)
    model, file = MODELS.build(copy.deepcopy(cfg.model)), tmp_path / "iter_1.pth"
    torch.nn.init.normal_(model.decode_head.conv_seg.weight, std=3.0)  # tells classes apart
    write_network(model, file)
    plain = evaluate(cfg, file, tmp_path / "plain")
    set_tta(cfg)
    augmented = evaluate(cfg, file, tmp_path / "tta")
    assert plain.keys() == augmented.keys() >= {"aAcc", "mIoU", "mAcc"}
    assert plain != augmented

    set_ticket(cfg, "none")
    with pytest.raises(TicketError, match="was trained with ticket"):
        evaluate(cfg, file, tmp_path / "other", use_its_ticket=False)


# -- errors ----------------------------------------------------------------------------------------


def test_a_config_without_augmentation_is_refused_in_one_line() -> None:
    cfg = load_config(CONFIGS / "segmentation" / "toy.py")
    with pytest.raises(ConfigError, match=r"toy\.py: .*found no tta_model and no tta_pipeline"):
        set_tta(cfg)
    cfg.tta_model = {"type": SegmentationTTA}
    with pytest.raises(ConfigError, match="found no tta_pipeline"):
        set_tta(cfg)


def test_several_test_sets_in_one_are_refused(cfg: Config) -> None:
    cfg.test_dataloader.dataset = {"type": "ConcatDataset", "datasets": []}
    model = copy.deepcopy(cfg.model)
    with pytest.raises(ConfigError, match=r"short\.py: .*found no test_dataloader\.dataset\.pipel"):
        set_tta(cfg)
    assert cfg.model == model
