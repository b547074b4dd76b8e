import warnings
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.dataset import BaseDataset, DefaultSampler
from mmengine.model import BaseModel
from mmengine.registry import VISUALIZERS
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner
from mmengine.visualization import LocalVisBackend, Visualizer

from ean_transfer.crowd_counting import CountingDataSample, PackCountingInputs, draw_density
from ean_transfer.crowd_counting.hooks import CountingVisualizationHook
from ean_transfer.crowd_counting.visualizer import CountingVisualizer, draw_sample
from ean_transfer.errors import ConfigError


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def counted(**fields):
    return CountingDataSample(metainfo={"img_shape": (240, 400)}, **fields)


TRUTH = dict(gt_points=torch.tensor([[100.0, 50.0]]), gt_count=1.0)
PREDICTION = dict(pred_density=torch.eye(30, 50), pred_count=30.0)


def test_rings_are_drawn_around_the_points():
    picture = draw_density(black(240, 400), None, [(100, 50)])
    assert picture.shape == (240, 400, 3)
    for row, column in [(50, 97), (50, 103), (47, 100), (53, 100)]:
        assert picture[row, column].min() > 200
    assert picture[50, 100].max() < 100
    rows, columns = np.nonzero(picture[..., 0])
    assert 90 < columns.min() <= columns.max() < 110
    assert 40 < rows.min() <= rows.max() < 60


def test_points_stay_in_their_pixel_when_a_small_image_is_enlarged():
    picture = draw_density(black(24, 24), np.zeros((3, 3)), [(23, 0)], count=1)
    assert picture.shape == (14 * 24 + 28, 14 * 24, 3)
    ring = picture[: 14 * 24].any(axis=2)
    assert ring[:14, 23 * 14 :].any()
    assert not ring[14:].any()
    assert not ring[:, : 23 * 14].any()


def test_rings_and_caption_grow_with_the_picture():
    picture = draw_density(black(1200, 1600), None, [(800, 600)], count=1)
    assert picture.shape == (1200 + 56, 1600, 3)
    ring = picture[:1200].any(axis=2)
    assert ring[600, 800 - 6] and ring[600, 800 + 6]
    assert not ring[600, 797:804].any()
    crowd = np.random.default_rng(0).uniform(0, 1000, (9000, 2))
    picture = draw_density(black(1200, 1600), None, [*crowd, (1300, 600)])
    assert picture[600, 1300 - 3].any()  # in a crowd rings stay small
    assert not picture[600, 1300 - 6].any()


def test_long_caption_fits_a_narrow_picture():
    picture = draw_density(black(2000, 330), None, count=123456, pred=123456.7)
    strip = picture[2000:].any(axis=2)
    assert strip.any()
    assert not strip[:, -4:].any()


def test_side_by_side_shows_points_left_and_heat_right():
    picture = draw_density(black(240, 400), np.eye(30, 50), [(300, 50)], side_by_side=True)
    assert picture.shape == (240, 804, 3)
    left, right = picture[:, :400], picture[:, 404:]
    assert left[40:60, 290:310].any()
    left[40:60, 290:310] = 0
    assert not left.any()
    assert right[100, 100].any()
    assert not right[40:60, 290:310].any()


def test_drawing_leaves_its_inputs_and_takes_maps_that_are_not_finite():
    image, density = black(240, 400), np.full((30, 50), np.nan)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        picture = draw_density(image, density, [(9, 9)], pred=float("nan"))
    assert picture[240:].any()
    assert not picture[20:240].any()
    assert not image.any()


@pytest.mark.parametrize(
    ("fields", "captioned"),
    [
        (TRUTH, True),
        (PREDICTION, True),
        (TRUTH | PREDICTION, True),
        (dict(gt_points=torch.zeros(0, 2), gt_count=0.0), True),
        (dict(pred_density=torch.zeros(30, 50), pred_count=0.0), True),
        (dict(gt_count=3.0), True),
        ({}, False),
    ],
)
def test_sample_is_drawn_with_whatever_it_holds(fields, captioned):
    picture = draw_sample(black(240, 400), counted(**fields))
    assert picture.shape == (268 if captioned else 240, 400, 3)
    assert bool(picture[40:60, 90:110].any()) == ("gt_points" in fields and fields["gt_count"] > 0)
    assert bool(picture[116:125, 116:125].any()) == (fields.get("pred_count", 0) > 0)
    wide = draw_sample(black(240, 400), counted(**fields), side_by_side=True)
    assert wide.shape[1] == (804 if "pred_density" in fields else 400)


def test_truth_or_prediction_can_be_left_out():
    sample = counted(**TRUTH, **PREDICTION)
    truth = draw_sample(black(240, 400), sample, draw_pred=False)
    np.testing.assert_array_equal(truth, draw_sample(black(240, 400), counted(**TRUTH)))
    prediction = draw_sample(black(240, 400), sample, draw_gt=False)
    np.testing.assert_array_equal(prediction, draw_sample(black(240, 400), counted(**PREDICTION)))
    assert draw_sample(black(240, 400), None).shape == (240, 400, 3)


def test_points_follow_an_image_of_another_size():
    picture = draw_sample(black(480, 800), counted(**TRUTH))
    rows, columns = np.nonzero(picture[:480, :, 0])
    assert (columns.min() + columns.max()) / 2 == pytest.approx(200.5, abs=1)
    assert (rows.min() + rows.max()) / 2 == pytest.approx(100.5, abs=1)


def test_visualizer_gives_samples_to_its_back_ends_or_writes_a_file(tmp_path):
    config = dict(
        type=CountingVisualizer,
        name="pictures",
        vis_backends=[dict(type=LocalVisBackend)],
        save_dir=str(tmp_path),
        side_by_side=True,
    )
    visualizer = VISUALIZERS.build(config)
    sample = counted(**TRUTH, **PREDICTION)
    visualizer.add_datasample("crowd", black(240, 400), sample, step=7)
    (file,) = tmp_path.rglob("*.png")
    assert file.name == "crowd_7.png"
    expected = draw_sample(black(240, 400), sample, side_by_side=True)
    np.testing.assert_array_equal(cv2.imread(str(file))[..., ::-1], expected)

    out_file = tmp_path / "new" / "picture.png"
    visualizer.add_datasample("crowd", black(240, 400), sample, out_file=out_file, step=8)
    np.testing.assert_array_equal(cv2.imread(str(out_file))[..., ::-1], expected)
    assert len(list(tmp_path.rglob("*.png"))) == 2


class Corners(BaseDataset):
    """Blue images with one point, made in memory."""

    def load_data_list(self):
        image = black(20, 30)
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
