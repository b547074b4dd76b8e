"""The hook draws the same images at each validation, in the first process alone."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, DefaultSampler
from mmengine.model import BaseModel
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmengine.visualization import Visualizer

from ean_transfer.crowd_counting import CountingDataSample, PackCountingInputs
from ean_transfer.crowd_counting.hooks import CountingVisualizationHook
from ean_transfer.errors import ConfigError


class Corners(BaseDataset):
    """Blue images with one point, made in memory."""

    def load_data_list(self):
        image = np.zeros((20, 30, 3), np.uint8)
        image[..., 0] = 255  # BGR
        points = np.array([(25, 15)])
        return [{"img": image, "points": points, "img_path": f"in/{i}.jpg"} for i in range(7)]


class One(BaseModel):
    """Sees one object in the top left cell of every image."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(()))

    def forward(self, inputs, data_samples, mode):
        if mode == "loss":
            return {"loss": self.weight}
        for sample in data_samples:
            sample.pred_density = torch.zeros(5, 8)
            sample.pred_density[0, 0] = 1
            sample.pred_count = 1.0
        return data_samples


def run(folder, train_cfg, **options):
    loader = dict(
        batch_size=3,
        num_workers=0,
        dataset=dict(type=Corners, pipeline=[dict(type=PackCountingInputs)]),
        sampler=dict(type=DefaultSampler, shuffle=False),
    )
    evaluator = dict(type="DumpResults", out_file_path=str(folder / "results.pkl"))
    train = dict(
        train_dataloader=loader,
        train_cfg=train_cfg,
        optim_wrapper=dict(optimizer=dict(type="SGD", lr=0.1)),
        val_dataloader=loader,
        val_cfg={},
        val_evaluator=evaluator,
    )
    return Runner(
        model=One(),
        work_dir=str(folder),
        **(train if train_cfg else {}),
        test_dataloader=loader,
        test_cfg={},
        test_evaluator=evaluator,
        custom_hooks=[dict(type=CountingVisualizationHook, **options)],
        default_hooks=dict(checkpoint=None),
        default_scope=None,
        experiment_name=folder.name,
        log_level="ERROR",
    )


def names_in(folder):
    return {file.name for file in folder.rglob("vis_image/*")}


@pytest.mark.parametrize(
    ("train_cfg", "steps"),
    [
        (dict(type=EpochBasedTrainLoop, max_epochs=2), (1, 2)),
        (dict(type=IterBasedTrainLoop, max_iters=3, val_interval=3), (3,)),
    ],
)
def test_hook_draws_the_same_images_at_each_validation(tmp_path, train_cfg, steps):
    run(tmp_path, train_cfg, images=3).train()
    assert names_in(tmp_path) == {f"val_{i}_{i}_{step}.png" for i in (0, 3, 6) for step in steps}
    file = next(tmp_path.rglob("val_3_*.png"))
    picture = cv2.imread(str(file))[..., ::-1]
    assert picture.shape == (11 * 20 + 28, 11 * 30, 3)
    assert tuple(picture[100, 200]) == (0, 0, 255)  # as the file's colours, not the model's input
    assert picture[0, 0, 0] > 50  # hot
    assert picture[15 * 11 : 16 * 11, 25 * 11 : 26 * 11].min(axis=2).max() > 150  # white ring


def test_hook_draws_at_tests_too_unless_told_not_to(tmp_path):
    for folder, test in (("yes", True), ("no", False)):
        runner = run(tmp_path / folder, None, images=99, max_side=15, test=test)
        runner.test()
    assert names_in(tmp_path / "yes") == {f"test_{i}_{i}_0.png" for i in range(7)}
    assert not names_in(tmp_path / "no")
    # 30 x 20 pixels shrunk to 15 x 10 and then shown enlarged
    assert cv2.imread(str(next(tmp_path.rglob("*.png")))).shape == (22 * 10 + 28, 22 * 15, 3)


def test_hook_names_images_without_a_path_and_keeps_quiet_in_other_processes(monkeypatch):
    drawn = []
    loader = SimpleNamespace(sampler=range(5))
    backend = SimpleNamespace(add_image=lambda name, picture, step: drawn.append((name, step)))
    runner = SimpleNamespace(visualizer=backend, val_dataloader=loader, _train_loop=None)
    batch = {"inputs": torch.zeros(5, 3, 8, 8, dtype=torch.uint8)}
    hook = CountingVisualizationHook(images=2)
    for main in (True, False):
        monkeypatch.setattr(
            "ean_transfer.crowd_counting.hooks.is_main_process", lambda main=main: main
        )
        hook.before_val_epoch(runner)
        hook.after_val_iter(runner, 0, batch, [CountingDataSample() for _ in range(5)])
    assert drawn == [("val_0", 0), ("val_4", 0)]


@pytest.mark.parametrize("name", ["images", "max_side"])
def test_hook_needs_positive_numbers(name):
    with pytest.raises(ConfigError, match=f"CountingVisualizationHook: {name}.* found 0"):
        CountingVisualizationHook(**{name: 0})


def test_plain_visualizer_is_all_that_the_hook_needs(tmp_path):
    assert type(run(tmp_path, None).visualizer) is Visualizer
