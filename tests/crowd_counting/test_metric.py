"""The metric against numbers worked by hand and brute force; one table row per image."""

from __future__ import annotations

import csv
import json
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import DefaultSampler
from mmengine.registry import METRICS

from ean_transfer.crowd_counting import CountingDataSample, CountingMetric
from ean_transfer.crowd_counting.metric import grid_error
from ean_transfer.errors import ConfigError


@pytest.fixture
def logged(monkeypatch):
    lines = []
    monkeypatch.setattr(
        "ean_transfer.crowd_counting.metric.print_log", lambda line, **_: lines.append(line)
    )
    return lines


def sample(density, points, size, stride, **meta):
    """What the model hands to the metric."""
    metainfo = {"img_shape": size, "pred_stride": stride, **meta}
    out = CountingDataSample(metainfo=metainfo)
    out.pred_density = torch.as_tensor(density, dtype=torch.float32)
    out.pred_count = out.pred_density.double().sum().item()
    if points is not None:
        out.gt_points = torch.as_tensor(points, dtype=torch.float32).reshape(-1, 2)
        out.gt_count = float(len(points))
    return out.to_dict()


def evaluate(samples, **options):
    metric = CountingMetric(**options)
    metric.process(None, samples)
    return metric.evaluate(len(samples))


def random_sample(number, size=(21, 30), stride=4):
    generator = np.random.default_rng(number)
    cells = [math.ceil(side / stride) for side in size]
    points = generator.uniform(0, 1, (number, 2)) * np.array(size)[::-1]
    return sample(generator.random(cells), points, size, stride, img_path=f"{number}.jpg")


def test_counts_against_numbers_worked_by_hand():
    metric = METRICS.build(dict(type=CountingMetric, game_levels=(0,)))
    # errors 1, -2, 4: MAE 7/3, RMSE sqrt(21/3); NAE (1/4 + 2/10) / 2, the empty image skipped
    for pairs in [((5, 4), (8, 10)), ((4, 0),)]:
        metric.process(None, [{"pred_count": pred, "gt_count": true} for pred, true in pairs])
    expected = {"MAE": 7 / 3, "RMSE": math.sqrt(7), "NAE": 0.225, "GAME0": 7 / 3}
    assert metric.evaluate(3) == pytest.approx(expected)


def test_nae_of_empty_images_alone_is_nan():
    metrics = evaluate([{"pred_count": 1.0, "gt_count": 0}], game_levels=())
    assert metrics["MAE"] == 1
    assert math.isnan(metrics["NAE"])


def test_game_against_numbers_worked_by_hand():
    # 8 x 8 pixels in 2 x 2 cells of 4; one point in the top left cell, one in the top right.
    first = sample([[1, 0], [0, 2]], [(1, 1), (6, 1)], (8, 8), 4)
    # L = 0: |3 - 2| = 1
    # L = 1, one region per cell: |1 - 1| + |0 - 1| + |0 - 0| + |2 - 0| = 3
    # L = 2, 2 x 2 pixels, a quarter of a cell each: top left |1/4 - 1| + 3/4, top right 1, bottom
    #        right 4 x 2/4: 4.5
    # L = 3, a pixel, a sixteenth of a cell: |1/16 - 1| + 15/16, 1, 2: 4.875
    expected = {"GAME0": 1, "GAME1": 3, "GAME2": 4.5, "GAME3": 4.875}
    metrics = evaluate([first])
    assert {name: metrics[name] for name in expected} == pytest.approx(expected)
    # An image without error or points: the means are halved.
    metrics = evaluate([first, sample(torch.zeros(2, 2), [], (8, 8), 4)])
    assert [metrics[name] for name in expected] == pytest.approx([0.5, 1.5, 2.25, 2.4375])


def test_cells_are_shared_out_by_area():
    # 6 pixels in cells of 4 and 2, in halves of 3: the first cell is in them by 3/4 and 1/4, so the
    # quarters hold 16 x (9/16, 3/16, 3/16, 1/16) = 9, 3, 3, 1 objects. The points are in the last
    # quarter: x = 2.5 is the edge between pixels 2 and 3.
    density = [[16, 0], [0, 0]]
    points = [(2.5, 2.5), (5, 5)]
    assert grid_error(density, points, (6, 6), 4, level=1) == pytest.approx(9 + 3 + 3 + 1)
    # The last cell of each axis is cut to 2 pixels, all in the last half.
    assert grid_error([[0, 0], [0, 2]], points, (6, 6), 4, level=1) == pytest.approx(0)


def test_points_on_the_border_belong_to_the_image():
    points = [(0, 0), (5, 0), (0, 7), (5, 7)]
    for level in range(4):
        assert grid_error(np.zeros((4, 3)), points, (7, 5), 2, level) == 4


def pixelwise(density, points, size, stride, level):
    """Each pixel cut into 2^L x 2^L parts, of which every region has a whole number."""
    regions = 2**level
    height, width = size
    pixels = np.zeros(size)
    for row in range(density.shape[0]):
        for column in range(density.shape[1]):
            cell = pixels[row * stride : (row + 1) * stride, column * stride :][:, :stride]
            cell[:] = density[row, column] / cell.size
    parts = pixels.repeat(regions, 0).repeat(regions, 1) / regions**2
    for x, y in points:
        row, column = math.floor((y + 0.5) * regions), math.floor((x + 0.5) * regions)
        parts[min(row, len(parts) - 1), min(column, parts.shape[1] - 1)] -= 1
    return np.abs(parts.reshape(regions, height, regions, width).sum((1, 3))).sum()


@given(
    st.integers(1, 23), st.integers(1, 23), st.integers(1, 9), st.integers(0, 6), st.integers(0, 99)
)
@settings(max_examples=40)
def test_game_for_any_sizes(height, width, stride, count, seed):
    generator = np.random.default_rng(seed)
    density = generator.random((math.ceil(height / stride), math.ceil(width / stride)))
    points = (generator.uniform(0, 1, (count, 2)) * (width, height)).astype(np.float32)
    errors = [grid_error(density, points, (height, width), stride, level) for level in range(4)]
    # Level 0 is the error of the count, and finer regions never hide what coarser ones show.
    assert errors[0] == pytest.approx(abs(density.sum() - count), abs=1e-9)
    assert all(fine >= coarse - 1e-9 for coarse, fine in zip(errors, errors[1:], strict=False))
    for level in range(4):
        brute = pixelwise(density, points, (height, width), stride, level)
        assert errors[level] == pytest.approx(brute, abs=1e-9)


def test_game_of_level_0_is_the_mae():
    metrics = evaluate([random_sample(number) for number in range(5)])
    assert metrics["GAME0"] == metrics["MAE"] <= metrics["GAME1"] <= metrics["GAME3"]


def test_images_without_truth_are_in_no_mean(logged):
    known = random_sample(3)
    unknown = sample(torch.ones(6, 8), None, (21, 30), 4)
    assert evaluate([unknown, known, unknown]) == evaluate([known])
    assert not logged
    assert evaluate([unknown, unknown]) == {}
    assert len(logged) == 1
    assert "none of 2 images has a true count" in logged[0]


def test_game_is_left_out_with_one_warning_where_the_stride_is_unknown(logged):
    known, unknown = random_sample(3), random_sample(4)
    del unknown["pred_stride"]
    metric = CountingMetric()
    for _ in range(2):
        metric.process(None, [known, unknown, unknown])
        assert set(metric.evaluate(3)) == {"MAE", "RMSE", "NAE", "GAME0"}
    assert len(logged) == 1
    assert "found no pred_stride" in logged[0]


def test_stride_that_does_not_fit_the_map_is_refused():
    with pytest.raises(ConfigError, match=r"\(3, 4\) .* stride 8 .*3\.jpg.* found \(6, 8\)"):
        evaluate([random_sample(3) | {"pred_stride": 8}])


@pytest.mark.parametrize("levels", [(-1,), (0.5,), "01"])
def test_levels_that_are_none_are_refused(levels):
    with pytest.raises(ConfigError, match="CountingMetric: game_levels"):
        CountingMetric(game_levels=levels)


def test_table_has_one_row_per_image(tmp_path):
    file = tmp_path / "new" / "folder" / "counts.csv"
    samples = [random_sample(3), sample(torch.ones(6, 8), None, (21, 30), 4, img_path='a,"b".jpg')]
    metrics = evaluate(samples, game_levels=(0, 2), csv_file=file)
    with file.open(newline="") as lines:
        first, second = csv.DictReader(lines)
    assert list(first) == ["image", "true", "predicted", "error", "GAME2"]
    assert first["image"] == "3.jpg"
    assert float(first["true"]) == 3
    assert float(first["error"]) == float(first["predicted"]) - 3
    assert abs(float(first["error"])) == metrics["MAE"]
    assert float(first["GAME2"]) == metrics["GAME2"]
    values = ['a,"b".jpg', "", "48.0", "", ""]
    assert list(second.values()) == values
    assert [path.name for path in file.parent.iterdir()] == ["counts.csv"]

    evaluate([{"pred_count": 1.5, "gt_count": 2.0}], game_levels=(0,), csv_file=str(file))
    assert file.read_text() == "image,true,predicted,error\n0,2.0,1.5,-0.5\n"


def _evaluate_part(rank, world, images, folder):
    """One process of several: it evaluates what its sampler gives it."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=world
    )
    metric = CountingMetric(csv_file=folder / "counts.csv", collect_dir=str(folder / "collected"))
    indices = list(DefaultSampler(range(images), shuffle=False))
    assert len(indices) == math.ceil(images / world)  # the last process repeats an image
    metric.process(None, [random_sample(index) for index in indices])
    (folder / f"{rank}.json").write_text(json.dumps(metric.evaluate(images)))
    torch.distributed.destroy_process_group()


def test_two_processes_give_the_numbers_of_one(tmp_path):
    images = 5
    alone = evaluate(
        [random_sample(index) for index in range(images)], csv_file=tmp_path / "alone.csv"
    )
    # Forked and not started anew: importing the libraries takes longer than the test.
    torch.multiprocessing.start_processes(
        _evaluate_part, (2, images, tmp_path), nprocs=2, start_method="fork"
    )
    for rank in range(2):
        assert json.loads((tmp_path / f"{rank}.json").read_text()) == alone
    assert (tmp_path / "counts.csv").read_text() == (tmp_path / "alone.csv").read_text()
