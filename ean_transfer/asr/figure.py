"""Draws stripes: attention values as images x channels, and stripe scores over the training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import matplotlib
from matplotlib.figure import Figure
from torch import Tensor

from ean_transfer.asr.stripes import stripe_scores
from ean_transfer.errors import DataError


def draw_stripes(
    values: Mapping[int, Tensor], names: list[str], path: Path, images: int = 64
) -> Path:
    """Draw each block's attention values as a matrix: one row per image, one column per channel.

    If the attention hardly depends on the image, the columns are even and the matrix is striped
    (Zhong et al. 2023). Each block has its own range of colours, from its smallest value to its
    largest; its title says its stripe score. The figure has one row per stage, with gaps for blocks
    without attention.

    Args:
        values: Block -> (images, C), as :func:`~ean_transfer.asr.attention_values` gives them.
        names: Names of all blocks, ``stage.block``.
        path: The PNG to write.
        images: Number of images to draw, the first ones; the scores are of all images.

    Returns:
        The path.
    """
    scores = stripe_scores(dict(values))
    places = {block: tuple(map(int, names[block].split("."))) for block in values}
    stages = sorted({stage for stage, _ in places.values()})
    rows, columns = len(stages), max(number for _, number in places.values())
    figure = Figure(
        figsize=(max(4.5, min(2.6 * columns, 26)), 2.3 * rows + 0.4), layout="constrained"
    )
    grid = figure.subplots(rows, columns, squeeze=False)
    for block, (stage, number) in places.items():
        axes = grid[stages.index(stage), number - 1]
        shown = axes.imshow(
            values[block][:images].cpu().numpy(),
            aspect="auto",
            interpolation="nearest",
            cmap="viridis",
        )
        axes.set_title(f"{names[block]}: {scores[block]:.3f}", fontsize=9)
        axes.tick_params(labelsize=7)
        figure.colorbar(shown, ax=axes).ax.tick_params(labelsize=7)
    for axes in grid.flat:
        axes.set_visible(axes.has_data())
    figure.supxlabel("channel", fontsize=9)
    figure.supylabel("image", fontsize=9)
    figure.savefig(path, dpi=130)
    return path


def draw_stripe_scores(history: Path, names: list[str], path: Path) -> Path:
    """Draw each block's stripe score over the training.

    Args:
        history: A ``stripes.json`` of :class:`~ean_transfer.engine.hooks.StripeHook`.
        names: Names of all blocks, by number.
        path: The PNG to write.

    Returns:
        The path.

    Raises:
        DataError: The file cannot be read, or is not from this network.
    """
    try:
        rows = json.loads(history.read_text(encoding="utf-8"))
        iterations = [row["iteration"] for row in rows]
        lines = {int(block): [row["scores"][block] for row in rows] for block in rows[0]["scores"]}
        labels = [names[block] for block in lines]
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        reason = getattr(error, "strerror", None) or f"found something else ({error!r:.60})"
        raise DataError(
            f"{history}: expected the scores that StripeHook wrote while this network was trained: "
            f"{reason}"
        ) from error
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    colours = matplotlib.colormaps["viridis"]
    for number, (label, scores) in enumerate(zip(labels, lines.values(), strict=True)):
        colour = colours(0.9 * number / max(1, len(lines) - 1))
        axes.plot(iterations, scores, marker=".", color=colour, label=label)
    axes.set_xlabel("iterations of training")
    axes.set_ylabel("stripe score (0: a constant vector)")
    axes.set_ylim(bottom=0)
    axes.legend(title="block", fontsize=7, ncols=1 + (len(lines) - 1) // 12)
    figure.savefig(path, dpi=130)
    return path
