"""The runs of a counting study, read back and drawn: how its arms learned, and how they count."""

from __future__ import annotations

import csv
import json
import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from ean_transfer.errors import DataError
from ean_transfer.io.records import read_record
from ean_transfer.study.arms import folder_of
from ean_transfer.visualization.palette import COLOURS
from ean_transfer.visualization.picture import Picture, fit_picture
from ean_transfer.visualization.sheet import Cell, draw_sheet

_MARKERS = (".", "x", "+", "^")  # the next one where the colours start again


@dataclass(frozen=True)
class CountedImage:
    """A test image in one run.

    Attributes:
        image: Path of the image.
        true: Number of points.
        predicted: Sum of the predicted density.
    """

    image: str
    true: float
    predicted: float

    @property
    def error(self) -> float:
        """Absolute error of the count."""
        return abs(self.predicted - self.true)


@dataclass(frozen=True)
class CountingRun:
    """What one run of a study has written.

    Attributes:
        folder: The run's folder.
        steps: Iterations or epochs after which it was validated.
        val_mae: MAE on the validation images at each of these steps.
        counts: Test images, in the order of the data set.
    """

    folder: Path
    steps: tuple[int, ...]
    val_mae: tuple[float, ...]
    counts: tuple[CountedImage, ...]

    @property
    def not_finite(self) -> int:
        """Number of counts that are NaN or infinite, e.g. since the training diverged."""
        return sum(not math.isfinite(image.error) for image in self.counts)


def read_runs(study: Path, task: str) -> dict[str, list[CountingRun]]:
    """The finished runs of a study's counting task by arm.

    The titles of the arms and their order are those of the study's ``results.json``. A study that
    is not finished has none: there the names of the arms' folders stand for them.

    Args:
        study: The study's work dir.
        task: The task's name in the study.

    Raises:
        DataError: There is no finished run, or one without ``counts.csv``.
    """
    folders: dict[str, list[Path]] = defaultdict(list)
    for file in sorted((study / task).glob("*/seed*/metrics.json")):
        folders[file.parents[1].name].append(file.parent)
    results = study / "results.json"
    titles = list(folders)
    if results.exists():
        remedy = "run the study again, which writes it from its finished runs"
        keys = ["attention_parameters"]
        titles = list(read_record(results, "a study's results", remedy, keys, DataError)[keys[0]])
    runs = {
        title: [_read_run(folder) for folder in folders[folder_of(title)]]
        for title in titles
        if folder_of(title) in folders
    }
    if not runs:
        raise DataError(
            f"{study / task}: expected finished runs in <arm>/seed<n>/, found none; give the work "
            "dir of a study and the name of its counting task"
        )
    return runs


def _read_run(folder: Path) -> CountingRun:
    table = folder / "counts.csv"
    if not table.is_file():
        raise DataError(
            f'{table}: no such file; the config\'s test_evaluator needs csv_file="counts.csv"'
        )
    with table.open(newline="", encoding="utf-8") as file:
        counts = tuple(
            CountedImage(row["image"], float(row["true"]), float(row["predicted"]))
            for row in csv.DictReader(file)
        )
    curve = {}
    for scalars in sorted(folder.glob("*/vis_data/scalars.json")):
        for line in scalars.read_text(encoding="utf-8").splitlines():
            try:
                values = json.loads(line)
            except ValueError:  # the last line of a run that was killed
                continue
            if "MAE" in values and values.get("step", 0) > 0:
                curve[int(values["step"])] = float(values["MAE"])
    return CountingRun(folder, tuple(sorted(curve)), tuple(curve[k] for k in sorted(curve)), counts)


def draw_counting(runs: Mapping[str, Sequence[CountingRun]], path: Path) -> Path:
    """Draw validation MAE over training (mean and range), and predicted over true counts.

    The first is left out where no mean is known and finite.

    Args:
        runs: Arm -> runs.
        path: The PNG file to write.

    Returns:
        The path.
    """
    curves = {arm: _common_curves(several) for arm, several in runs.items()}
    validated = any(np.isfinite(values.mean(axis=0)).any() for _, values in curves.values())
    figure = Figure(figsize=(10 if validated else 5, 4), layout="constrained")
    axes = figure.subplots(1, 2 if validated else 1, squeeze=False)[0]
    if validated:
        _draw_learning(axes[0], curves)
    _draw_counts(axes[-1], runs)
    figure.savefig(path, dpi=120)
    return path


_Curves = tuple[list[int], npt.NDArray[np.float64]]


def _common_curves(runs: Sequence[CountingRun]) -> _Curves:
    """The steps after which all runs were validated, and their MAE, of shape (runs, steps)."""
    steps = sorted(set.intersection(*(set(run.steps) for run in runs)))
    return steps, np.array([[run.val_mae[run.steps.index(step)] for step in steps] for run in runs])


def _style(number: int) -> tuple[str, str]:
    """Colour and marker of the arm with a number."""
    return COLOURS[number % len(COLOURS)], _MARKERS[number // len(COLOURS) % len(_MARKERS)]


def _draw_learning(axes: Axes, curves: Mapping[str, _Curves]) -> None:
    for number, (arm, (steps, values)) in enumerate(curves.items()):
        colour, marker = _style(number)
        label = f"{arm}, n = {len(values)}"
        axes.plot(steps, values.mean(axis=0), f"{marker}-", color=colour, label=label)
        axes.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15)
    axes.set(xlabel="training step", ylabel="validation MAE", yscale="log")
    axes.legend(title="mean and range of n runs")


def _draw_counts(axes: Axes, runs: Mapping[str, Sequence[CountingRun]]) -> None:
    for number, (arm, several) in enumerate(runs.items()):
        colour, marker = _style(number)
        images = [image for run in several for image in run.counts]
        axes.plot(
            [image.true for image in images],
            [image.predicted for image in images],
            marker,
            color=colour,
            markersize=3,
            alpha=0.5,
            label=f"{arm}, MAE {fmean(image.error for image in images):.2f}",
        )
    axes.axline((0, 0), slope=1, color="black", linewidth=0.8)
    axes.set(xlabel="true count", ylabel="predicted count", xlim=(0, None), ylim=(0, None))
    axes.legend(title="test images of all runs")


def worst_images(runs: Mapping[str, Sequence[CountingRun]], number: int = 5) -> list[str]:
    """The test images with the largest absolute error, averaged over all arms and runs.

    Counts that are not finite are left out: no image is worse than another by them.

    Raises:
        DataError: No count of any run is finite.
    """
    errors: dict[str, list[float]] = defaultdict(list)
    for several in runs.values():
        for run in several:
            for counted in run.counts:
                if math.isfinite(counted.error):
                    errors[counted.image].append(counted.error)
    if not errors:
        raise DataError("expected finite counts to rank the test images by, found none in any run")
    return sorted(errors, key=lambda image: -fmean(errors[image]))[:number]


def write_sheet(rows: Sequence[Mapping[str, Picture]], path: Path, *, side: int = 300) -> Path:
    """Write pictures in a grid, each with its title below.

    Args:
        rows: For each row, title -> picture.
        path: The PNG file to write.
        side: Longer side that the pictures are scaled to, in pixels.

    Returns:
        The path.
    """
    cells = [[Cell(fit_picture(one, side), title) for title, one in row.items()] for row in rows]
    # Heat maps in 256 colours look the same in a third of the bytes.
    Image.fromarray(draw_sheet(cells)).quantize(256).save(path, optimize=True)
    return path
