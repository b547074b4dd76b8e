"""How accuracy falls under noise inside the network and under corruptions of the images."""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from mmpretrain.models import ImageClassifier

from ean_transfer.analysis.inspect.perturbations import CLEAN, NOISE, Perturbation, corruptions
from ean_transfer.analysis.inspect.samples import batch_labels
from ean_transfer.analysis.scoring import metric_on
from ean_transfer.attachment.network import evaluating
from ean_transfer.data.config import gives_rgb
from ean_transfer.engine.inference import load_trained
from ean_transfer.io.progress import progress_bar
from ean_transfer.visualization.palette import COLOURS

_MARKERS = "os^Dv*P"  # one fewer than COLOURS, so that no two of 56 networks look alike
_PANELS_PER_ROW = 4


@dataclass(frozen=True)
class Curve:
    """Accuracy under one perturbation.

    Attributes:
        name: Name of the perturbation.
        unit: Unit of the strengths.
        strengths: Strengths from weak to strong.
        accuracy: Network -> top-1 in percent, ``[checkpoint][strength][draw]``.
    """

    name: str
    unit: str
    strengths: tuple[float, ...]
    accuracy: Mapping[str, list[list[list[float]]]]

    def means(self, network: str) -> np.ndarray:
        """A network's accuracy (checkpoints, strengths), averaged over the draws."""
        return np.array(self.accuracy[network]).mean(axis=2)


@dataclass(frozen=True)
class Robustness:
    """Accuracy of networks on the same images, clean and perturbed.

    Attributes:
        images: Number of images.
        classes: Number of classes.
        clean: Network -> top-1 of each of its checkpoints, in percent.
        curves: One curve per perturbation.
    """

    images: int
    classes: int
    clean: Mapping[str, list[float]]
    curves: list[Curve]


@torch.inference_mode()
def robustness(
    networks: Mapping[str, Sequence[Any]],
    batches: Collection[Mapping[str, Any]],
    perturbations: Sequence[Perturbation],
    seed: int = 0,
) -> Robustness:
    """Measure accuracy under perturbations of rising strength.

    All networks see the same corrupted images. A terminal gets a progress bar.

    Args:
        networks: Name -> classifiers that share the name, such as those of several seeds. All
            networks must preprocess images in the same way.
        batches: Packed uint8 images with labels, as a data loader gives them with one list per key.
        perturbations: Perturbations with different names.
        seed: Seed of all draws.

    Raises:
        ConfigError: The images are not uint8 or do not have one label each, or a network has no
            BatchNorm to add noise after.
    """
    models = [(name, model) for name, several in networks.items() for model in several]
    everything = (CLEAN, *perturbations)
    hits = {p.name: np.zeros((len(models), len(p.strengths), p.draws)) for p in everything}
    seen = classes = 0
    with progress_bar() as bar, ExitStack() as modes:
        for _, model in models:
            modes.enter_context(evaluating(model))
        task = bar.add_task("", total=len(batches) * sum(len(p.strengths) for p in everything))
        for batch in batches:
            labels = batch_labels(batch)
            # Images are corrupted once, for all networks.
            for perturbation in everything:
                bar.update(task, description=perturbation.name, note=f"{seen} images done")
                for level in range(len(perturbation.strengths)):
                    images = perturbation.images(batch["inputs"], level, seed, seen)
                    # All networks preprocess alike, so one of them does it for all.
                    inputs = models[0][1].data_preprocessor({"inputs": images})["inputs"]
                    for row, draw in product(range(len(models)), range(perturbation.draws)):
                        model = models[row][1]
                        with perturbation.within(model, level, [seed, draw]):
                            logits = model(inputs)
                        right = logits.argmax(dim=1).cpu() == labels
                        hits[perturbation.name][row, level, draw] += int(right.sum())
                    classes = logits.shape[1]
                    bar.advance(task)
            seen += len(labels)

    def accuracy(perturbation: Perturbation, network: str) -> list[list[list[float]]]:
        rows = [row for row, (name, _) in enumerate(models) if name == network]
        return (100 * hits[perturbation.name][rows] / seen).tolist()

    return Robustness(
        images=seen,
        classes=classes,
        clean={name: [levels[0][0] for levels in accuracy(CLEAN, name)] for name in networks},
        curves=[
            Curve(p.name, p.unit, p.strengths, {name: accuracy(p, name) for name in networks})
            for p in perturbations
        ],
    )


def measure_robustness(
    cfg: Config,
    checkpoints: Mapping[str, Sequence[str | os.PathLike[str]]],
    images: int | None = None,
    seed: int = 0,
    device: str | None = None,
) -> Robustness:
    """:func:`robustness` of trained networks on a config's test set.

    The perturbations are constant noise inside the networks and :func:`corruptions` of the images.

    Args:
        cfg: The config of the networks, which are all in memory at once.
        checkpoints: Name -> checkpoints, such as those of several seeds, whose tickets the
            backbones are built with.
        images: Number of images of the test set, drawn once; all by default.
        seed: Seed of all draws.
        device: Device to compute on; by default an accelerator, if there is one.

    Raises:
        ConfigError: The config is not of classification, and as :func:`robustness`.
        DataError: The test set is missing, or one of its images cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    networks = {
        name: [load_trained(cfg, file, ImageClassifier, device=device) for file in files]
        for name, files in checkpoints.items()
    }
    batches: Any = metric_on(cfg, "test", images=images, seed=seed).batches
    side = min(next(iter(batches))["inputs"][0].shape[-2:])
    return robustness(networks, batches, [NOISE, *corruptions(side, not gives_rgb(cfg))], seed)


def draw_robustness(result: Robustness, path: Path) -> Path:
    """Draw accuracy over strength, with one panel per perturbation and one line per network.

    A line is the mean of a network's checkpoints, its band their standard deviation.

    Args:
        result: The measured accuracies.
        path: The PNG file to write.

    Returns:
        The path.
    """
    rows = math.ceil(len(result.curves) / _PANELS_PER_ROW)
    columns = min(len(result.curves), _PANELS_PER_ROW)
    figure = Figure(figsize=(3.4 * columns, 3.1 * rows + 1), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True)
    for axes in grid.flat[len(result.curves) :]:
        axes.set_visible(False)
    for axes, curve in zip(grid.flat, result.curves, strict=False):
        _draw_curve(axes, curve, result)
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy (%)")
    grid[0, 0].set_ylim(bottom=0)
    lines, names = grid[0, 0].get_legend_handles_labels()
    entry = 0.75 + 0.09 * max(map(len, names))  # inches: line, gaps and the longest name
    per_row = min(len(names), max(1, int(figure.get_figwidth() / entry)))
    figure.legend(lines, names, loc="outside lower center", ncols=per_row)
    several = any(len(accuracies) > 1 for accuracies in result.clean.values())
    bands = "; bands: one standard deviation of the seeds" if several else ""
    error = 50 / math.sqrt(result.images)  # of a share: largest at 50 %
    figure.suptitle(
        f"accuracy on {result.images:,} test images (standard error at most {error:.1f} "
        f"points){bands}",
        fontsize=10,
    )
    figure.savefig(path, dpi=130)
    return path


def _draw_curve(axes: Axes, curve: Curve, result: Robustness) -> None:
    places = range(len(curve.strengths) + 1)
    for number, name in enumerate(curve.accuracy):
        accuracies = np.column_stack((result.clean[name], curve.means(name)))
        mean = accuracies.mean(axis=0)
        colour = COLOURS[number % len(COLOURS)]
        marker = _MARKERS[number % len(_MARKERS)]
        axes.plot(places, mean, marker=marker, markersize=4, color=colour, label=name)
        if len(accuracies) > 1:
            spread = accuracies.std(axis=0, ddof=1)
            axes.fill_between(
                places, mean - spread, mean + spread, color=colour, alpha=0.2, linewidth=0
            )
    axes.axhline(100 / result.classes, color="black", linestyle=":", linewidth=0.8, label="chance")
    axes.set_xticks(places, ["clean", *(f"{strength:.2g}" for strength in curve.strengths)])
    axes.tick_params(axis="x", labelsize=8)
    axes.set_title(curve.name, fontsize=10)
    draws = max(len(draws) for several in curve.accuracy.values() for draws in several[0])
    axes.set_xlabel(curve.unit if draws == 1 else f"{curve.unit}; mean of {draws} draws")
