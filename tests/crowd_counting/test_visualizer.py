"""Samples are drawn with whatever they hold, alone and by mmengine's visualiser."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
import torch
from mmengine.registry import VISUALIZERS
from mmengine.visualization import LocalVisBackend

from ean_transfer.crowd_counting import CountingDataSample, draw_density
from ean_transfer.crowd_counting.visualizer import CountingVisualizer, draw_sample


def black(height, width):
    return np.zeros((height, width, 3), np.uint8)


def counted(**fields):
    return CountingDataSample(metainfo={"img_shape": (240, 400)}, **fields)


TRUTH = dict(gt_points=torch.tensor([[100.0, 50.0]]), gt_count=1.0)
PREDICTION = dict(pred_density=torch.eye(30, 50), pred_count=30.0)


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


def test_the_heat_follows_the_stride_in_an_image_of_another_size():
    fields = dict(pred_density=torch.eye(2, 13), pred_count=2.0)
    metainfo = dict(img_shape=(40, 390), pred_stride=32)
    sample = CountingDataSample(metainfo=metainfo, **fields)
    expected = draw_density(black(80, 780), torch.eye(2, 13), pred=2.0, cell=(64, 64))
    np.testing.assert_array_equal(draw_sample(black(80, 780), sample), expected)


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
