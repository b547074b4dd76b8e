"""The runs of a counting study, read back and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from matplotlib.figure import Figure

from ean_transfer.errors import DataError
from ean_transfer.study.counting_figure import (
    CountedImage,
    CountingRun,
    draw_counting,
    read_runs,
    worst_images,
    write_sheet,
)

# true and predicted counts of three images, of two runs of each arm
COUNTS = {
    "none": [[(10, 12.0), (20, 20.0), (30, 26.0)], [(10, 10.0), (20, 21.0), (30, 30.0)]],
    "ticket": [[(10, 10.0), (20, 20.0), (30, 31.0)], [(10, 10.0), (20, 17.0), (30, 30.0)]],
}


def write_run(folder: Path, images: list[tuple[int, float]], seed: int = 0) -> None:
    (folder / "20260101" / "vis_data").mkdir(parents=True)
    (folder / "metrics.json").write_text("{}")
    rows = [
        f"{i}.png,{true},{predicted},{predicted - true}"
        for i, (true, predicted) in enumerate(images)
    ]
    table = ["image,true,predicted,error", *rows]
    (folder / "counts.csv").write_text("\n".join(table) + "\n")
    scalars = [
        {"loss": 3.0, "step": 1},
        {"MAE": 9.0 + seed, "step": 10},
        {"MAE": 2.0 + seed, "step": 20},
        {"MAE": 1.5, "step": 0},  # of the test
    ]
    (folder / "20260101" / "vis_data" / "scalars.json").write_text(
        "\n".join(map(json.dumps, scalars))
    )


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """The work dir of a study that is not finished, with a task named ``cells``."""
    for arm, seeds in COUNTS.items():
        for seed, images in enumerate(seeds):
            write_run(tmp_path / "cells" / arm / f"seed{seed}", images, seed)
    (tmp_path / "cells" / "full" / "seed0").mkdir(parents=True)
    return tmp_path


def test_runs_are_read_by_arm_and_unfinished_ones_left_out(study: Path) -> None:
    runs = read_runs(study, "cells")
    assert {arm: len(several) for arm, several in runs.items()} == {"none": 2, "ticket": 2}
    assert runs["none"][1].steps == (10, 20)
    assert runs["none"][1].val_mae == (10.0, 3.0)
    assert [image.error for image in runs["none"][0].counts] == [2.0, 0.0, 4.0]


def test_arms_have_the_titles_and_the_order_of_the_study_s_results(tmp_path: Path) -> None:
    titles = ["none", "SGE full", "in groups of_4 full"]
    for title in (*titles, "ticket"):  # the last of another study in the same folder
        write_run(tmp_path / "cells" / title.replace(" ", "_") / "seed0", COUNTS["none"][0])
    assert sorted(read_runs(tmp_path, "cells")) == [
        *("SGE_full", "in_groups_of_4_full", "none", "ticket")
    ]
    results = {"attention_parameters": dict.fromkeys(titles, 0.0)}
    (tmp_path / "results.json").write_text(json.dumps(results))
    assert list(read_runs(tmp_path, "cells")) == titles


def test_worst_images_have_the_largest_mean_error(study: Path) -> None:
    # Image 0: (2 + 0 + 0 + 0) / 4, image 1: (0 + 1 + 0 + 3) / 4, image 2: (4 + 0 + 1 + 0) / 4.
    assert worst_images(read_runs(study, "cells"), 2) == ["2.png", "1.png"]


def test_diverged_runs_are_left_out_of_the_ranking(study: Path) -> None:
    write_run(study / "cells" / "full" / "seed1", [(10, np.nan), (20, np.inf), (30, np.nan)])
    runs = read_runs(study, "cells")
    assert worst_images(runs, 2) == ["2.png", "1.png"]
    assert [run.not_finite for run in (*runs["none"], *runs["full"])] == [0, 0, 3]
    with pytest.raises(DataError, match="found none in any run"):
        worst_images({"full": runs["full"]})


def test_legend_tells_the_runs_of_each_arm(study: Path, monkeypatch) -> None:
    write_run(study / "cells" / "SE_full" / "seed0", COUNTS["none"][0])
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: figures.append(figure))
    draw_counting(read_runs(study, "cells"), study / "figure.png")
    learning = figures[0].axes[0]
    assert [text.get_text() for text in learning.get_legend().get_texts()] == [
        *("SE_full, n = 1", "none, n = 2", "ticket, n = 2")
    ]
    assert len({line.get_color() for line in learning.get_lines()}) == 3


@pytest.mark.parametrize("maes", [(), (np.nan, np.inf)], ids=["not validated", "diverged"])
def test_a_study_without_a_mean_to_draw_has_one_panel(
    tmp_path: Path, maes: tuple[float, ...]
) -> None:
    image = CountedImage("a.png", true=3.0, predicted=4.0)
    runs = [
        CountingRun(tmp_path, (10, 20)[: len(maes)], maes, (image,)),
        CountingRun(tmp_path, (10, 20), (2.0, 1.0), (image,)),
    ]
    figure = cv2.imread(str(draw_counting({"none": runs}, tmp_path / "figure.png")))
    assert figure.shape[1] == 600 and figure.std() > 10


def test_draws_runs_and_a_sheet(study: Path) -> None:
    figure = cv2.imread(str(draw_counting(read_runs(study, "cells"), study / "figure.png")))
    assert figure.shape[1] == 1200 and figure.std() > 10
    pictures = [
        {"a": np.full((50, 100, 3), 200, np.uint8), "b": np.full((90, 90, 3), 100, np.uint8)},
        {"c": np.full((20, 40, 3), 50, np.uint8)},
    ]
    sheet = cv2.imread(str(write_sheet(pictures, study / "sheet.png", side=60)))
    assert sheet.shape == (8 + (60 + 26 + 8) + (30 + 26 + 8), 8 + 2 * 68, 3)
    assert (sheet[20, 30] == 200).all() and (sheet[20, 98] == 100).all()
    assert (sheet[94 + 20, 30] == 50).all() and (sheet[94 + 20, 98] == 20).all()


def test_folder_without_runs_or_tables_is_refused(study: Path) -> None:
    with pytest.raises(DataError, match="nothing: expected finished runs"):
        read_runs(study, "nothing")
    (study / "cells" / "none" / "seed0" / "counts.csv").unlink()
    with pytest.raises(DataError, match="test_evaluator needs csv_file"):
        read_runs(study, "cells")
