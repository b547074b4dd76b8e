"""A test draws the images on which the network is most wrong and most right."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import cv2
import numpy as np
import pytest
import torch
from mmcv.transforms import TRANSFORMS, BaseTransform
from mmengine.config import Config
from mmpretrain.structures import DataSample

from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.engine.config import load_config
from ean_transfer.engine.results import Judgement
from ean_transfer.engine.training import evaluate
from ean_transfer.prediction import load
from ean_transfer.prediction.extremes import NAME, ExtremesHook
from ean_transfer.visualization.picture import Picture
from ean_transfer.visualization.sheet import SIDE
from tests.prediction.conftest import TASKS, Trained

Networks = dict[str, Trained]


def short(network: Trained, length: int = 12) -> Config:
    cfg = network.cfg
    cfg.test_dataloader.dataset.length = length
    cfg.test_dataloader.batch_size = 5
    cfg.log_level = "WARNING"
    return cfg


def test_an_error_is_what_the_page_says(trained: Networks) -> None:
    scores = torch.tensor([0.1, 0.1, 0.7, 0.05, 0.05, 0.0])
    right = DataSample().set_gt_label(2).set_pred_score(scores)
    assert load(trained["classification"].folder).judge(right).error == pytest.approx(0.3)
    counted = CountingDataSample(gt_count=7.0, pred_count=4.5)
    assert load(trained["crowd_counting"].folder).judge(counted).error == 2.5


@TRANSFORMS.register_module()
class RemovePoints(BaseTransform):
    """An image without labels."""

    def transform(self, results: dict[str, Any]) -> dict[str, Any]:
        return {key: value for key, value in results.items() if key != "points"}


class Noting(ExtremesHook):
    """Notes every image's error, and which cells are drawn in the end."""

    def before_test(self, runner: Any) -> None:
        super().before_test(runner)
        self.errors: list[float] = []

    def after_test_iter(self, runner, batch_idx, data_batch=None, outputs=None) -> None:
        self.errors += [self._predictor.judge(sample).error for sample in outputs]
        super().after_test_iter(runner, batch_idx, data_batch, outputs)

    def after_test(self, runner: Any) -> None:
        self.shown = {
            name: sorted(-judged.order for judged in group)
            for name, group in (("worst", self._worst), ("best", self._best))
        }
        super().after_test(runner)


@pytest.mark.parametrize("task", TASKS)
def test_the_worst_and_the_best_images_are_drawn(
    trained: Networks, tmp_path: Path, task: str
) -> None:
    hook = Noting(tmp_path / NAME, number=3)
    evaluate(short(trained[task]), trained[task].checkpoint, tmp_path / "work", hooks=[hook])
    assert hook.drawn and len(hook.errors) == 12
    by_error = np.argsort(hook.errors, kind="stable") + 1
    assert hook.shown["best"] == sorted(by_error[:3])
    # Of equal errors the earlier image stays.
    worst = np.lexsort((np.arange(12), -np.array(hook.errors)))[:3] + 1
    assert hook.shown["worst"] == sorted(worst)
    picture = cv2.imread(str(tmp_path / NAME))
    assert picture.shape[1] > 2 * SIDE and picture.shape[0] > SIDE


def test_few_images_are_not_shown_twice_and_unlabelled_ones_not_at_all(
    trained: Networks, tmp_path: Path
) -> None:
    network = trained["classification"]
    hook = ExtremesHook(tmp_path / NAME)
    evaluate(short(network, 3), network.checkpoint, tmp_path / "work", hooks=[hook])
    few = cv2.imread(str(tmp_path / NAME))
    assert few.shape[0] < 1.5 * SIDE  # one row
    unlabelled = ExtremesHook(tmp_path / "none.png")
    cfg = short(trained["crowd_counting"])
    cfg.test_dataloader.dataset.pipeline.insert(0, dict(type=RemovePoints))
    evaluate(cfg, trained["crowd_counting"].checkpoint, tmp_path / "work2", hooks=[unlabelled])
    assert not unlabelled.drawn and not (tmp_path / "none.png").exists()


class Judging:
    """A predictor of samples that say their own errors."""

    setting = SimpleNamespace(gives_rgb=True)

    def judge(self, sample: dict[str, float]) -> Judgement:
        return Judgement(sample["error"], "")

    def draw_judged(self, sample: Any, image: Picture) -> Picture:
        return image


def _judge(rank: int, errors: list[float], folder: Path) -> None:
    """What one of two processes does: it tests every second image."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    draw(folder / "two.png", errors[rank::2])
    torch.distributed.destroy_process_group()


def draw(file: Path, errors: list[float]) -> None:
    hook = ExtremesHook(file, number=2)
    hook._predictor = Judging()
    images = [torch.full((3, 40, 40), 20.0 * error) for error in errors]
    hook.after_test_iter(Mock(), 0, {"inputs": images}, [{"error": error} for error in errors])
    hook.after_test(Mock())


def test_two_processes_draw_what_one_does(tmp_path: Path) -> None:
    errors = [5.0, 9.0, 9.0, 1.0, 9.0, 1.0, 1.0]  # of equals, the first ones of the set
    draw(tmp_path / "one.png", errors)
    torch.multiprocessing.start_processes(_judge, (errors, tmp_path), nprocs=2, start_method="fork")
    # Under each image is its number, since it has no name.
    one, two = (cv2.imread(str(tmp_path / f"{name}.png")) for name in ("one", "two"))
    assert np.array_equal(one, two)


def test_the_command_says_where_the_picture_is(trained: Networks, tmp_path: Path, run_tool) -> None:
    network = trained["segmentation"]
    done = run_tool(
        "test", network.config, network.checkpoint, "--work-dir", tmp_path,
        "--cfg-options", "test_dataloader.dataset.length=6", "log_level=WARNING",
    )  # fmt: skip
    assert done.code == 0, done.err
    assert str(tmp_path / NAME) in done.out.splitlines()[-1]
    dumped = load_config(tmp_path / "toy.py")
    assert "Extremes" not in str(dumped.get("custom_hooks"))
