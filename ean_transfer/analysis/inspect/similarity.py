"""How alike the blocks of a network attend: the correlation of their attention vectors."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from mmengine.config import Config
from mmpretrain.models import ImageClassifier
from torch import Tensor

from ean_transfer.analysis.scoring import metric_on
from ean_transfer.asr import attention_values
from ean_transfer.engine.config import model_class
from ean_transfer.engine.inference import load_trained
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import find_backbone
from ean_transfer.ticket.architectures import block_names

_MAX_NUMBERED = 12  # blocks; with more, a cell has no room for its number
_MAX_LABELS = 30  # blocks that are named along an axis
_PANELS_PER_ROW = 3


@dataclass(frozen=True)
class Similarity:
    """Correlation between the attention of a network's blocks.

    Attributes:
        blocks: Number of blocks of each stage.
        matrix: (blocks, blocks), from -1 to 1; NaN between blocks that cannot be compared.
        images: Number of images that the matrix is averaged over.
    """

    blocks: tuple[int, ...]
    matrix: np.ndarray
    images: int

    @property
    def of_stages(self) -> list[float]:
        """Mean of each stage over pairs of different blocks; NaN where there is no pair."""
        means = []
        for end, number in zip(accumulate(self.blocks), self.blocks, strict=True):
            stage = self.matrix[end - number : end, end - number : end]
            pairs = stage[np.triu_indices(number, 1)]
            pairs = pairs[~np.isnan(pairs)]
            means.append(float(pairs.mean()) if len(pairs) else math.nan)
        return means

    def as_json(self) -> dict[str, Any]:
        """Plain data, ``None`` for NaN."""

        def plain(value: float) -> float | None:
            return None if math.isnan(value) else value

        return {
            "images": self.images,
            "blocks": list(self.blocks),
            "correlation": [[plain(value) for value in row] for row in self.matrix.tolist()],
            "mean_of_stages": [plain(value) for value in self.of_stages],
        }


def attention_similarity(values: Mapping[int, Tensor], blocks: Sequence[int]) -> Similarity:
    """Pearson correlation between the attention of two blocks, over channels, averaged over images.

    The more alike the blocks of a stage are, the better one module can serve them all (Huang et al.
    2020, "DIANet: Dense-and-Implicit Attention Network", arXiv 1905.10671). Blocks of one stage
    have the same number of channels, and the shortcut adds channel k of one to channel k of the
    next. Between stages channels do not correspond, so blocks of different stages are not compared.
    An image on which one of the two blocks gives all channels the same value has no correlation and
    is left out.

    Args:
        values: Connected block, counted over all stages from 0 -> (images, C), as
            :func:`~ean_transfer.asr.attention_values` gives them.
        blocks: Number of blocks of each stage.
    """
    total = sum(blocks)
    matrix = np.full((total, total), math.nan)
    units = {block: _unit_vectors(one.double()) for block, one in values.items()}
    for end, number in zip(accumulate(blocks), blocks, strict=True):
        connected = [block for block in range(end - number, end) if block in units]
        for i in connected:
            for j in connected:
                # The product of two centred unit vectors is their correlation; NaN for images on
                # which one of the blocks has none.
                matrix[i, j] = (units[i] * units[j]).sum(dim=1).nanmean().item()
    images = max((len(one) for one in values.values()), default=0)
    return Similarity(tuple(blocks), matrix, images)


def _unit_vectors(values: Tensor) -> Tensor:
    """Vectors of each image, centred and of length 1; NaN where all channels are equal."""
    centred = values - values.mean(dim=1, keepdim=True)
    lengths = centred.norm(dim=1, keepdim=True)
    # The values were computed in float32: differences below its resolution are only rounding.
    constant = lengths <= 1e-6 * values.norm(dim=1, keepdim=True)
    return torch.where(constant, math.nan, centred / lengths)


def measure_similarity(
    cfg: Config,
    checkpoints: Mapping[str, str | os.PathLike[str]],
    images: int | None = None,
    seed: int = 0,
    device: str | None = None,
) -> dict[str, Similarity]:
    """Measure the similarity of each network that has attention, on the same test images.

    Args:
        cfg: The config of the networks; one network at a time is in memory.
        checkpoints: Name -> checkpoint, whose ticket the backbone is built with.
        images: Number of images of the test set, drawn once; all by default.
        seed: Seed of the draw of images.
        device: Device to compute on; by default an accelerator, if there is one.

    Returns:
        Name -> similarity, without networks whose ticket connects no block.

    Raises:
        ConfigError: The config is not of classification with a ticketed backbone, no network has
            attention, or its attention has no weights per channel.
        DataError: The test set is missing, or one of its images cannot be read.
        CheckpointError, TicketError: A checkpoint cannot be read or is of another network.
    """
    model_class(cfg, ImageClassifier)
    batches = metric_on(cfg, "test", images=images, seed=seed).batches
    similarities = {}
    for name, checkpoint in checkpoints.items():
        model = load_trained(cfg, checkpoint, ImageClassifier, device=device)
        backbone = find_backbone(model)
        if any(backbone.mask):
            values = attention_values(model, batches)
            similarities[name] = attention_similarity(values, backbone.ticket.backbone.blocks)
    if not similarities:
        raise ConfigError(
            f"expected a network with attention, found none whose ticket connects a block: "
            f"{', '.join(checkpoints)}"
        )
    return similarities


def draw_similarity(networks: Mapping[str, Similarity], path: Path) -> Path:
    """Draw each network's matrix with lines between stages; grey where nothing can be compared.

    Args:
        networks: Name -> similarity.
        path: The PNG file to write.

    Returns:
        The path.
    """
    columns = min(len(networks), _PANELS_PER_ROW)
    rows = math.ceil(len(networks) / columns)
    figure = Figure(figsize=(4.2 * columns + 1.2, 4.6 * rows + 0.4), layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat[len(networks) :]:
        axes.set_visible(False)
    for axes, (name, similarity) in zip(grid.flat, networks.items(), strict=False):
        image = _draw_matrix(axes, similarity)
        axes.set_title(name)
    figure.colorbar(image, ax=grid, shrink=0.8, label="Pearson correlation, mean over images")
    figure.supxlabel("grey: of different stages, or a block without attention", fontsize=9)
    figure.savefig(path, dpi=130)
    return path


def _draw_matrix(axes: Axes, similarity: Similarity) -> Any:
    colours = colormaps["RdBu_r"].with_extremes(bad="#d9d9d9")
    image = axes.imshow(similarity.matrix, vmin=-1, vmax=1, cmap=colours, interpolation="nearest")
    blocks = similarity.blocks
    names = block_names(blocks)
    every = math.ceil(len(names) / _MAX_LABELS)
    places = range(0, len(names), every)
    axes.set_xticks(places, names[::every], fontsize=8, rotation=90 if len(names) > 9 else 0)
    axes.set_yticks(places, names[::every], fontsize=8)
    axes.set_xlabel("stage.block")
    axes.set_ylabel("stage.block")
    for last in list(accumulate(blocks))[:-1]:
        axes.axhline(last - 0.5, color="black", linewidth=0.8)
        axes.axvline(last - 0.5, color="black", linewidth=0.8)
    if len(names) <= _MAX_NUMBERED:
        for (row, column), value in np.ndenumerate(similarity.matrix):
            if not math.isnan(value):
                ink = "white" if abs(value) > 0.7 else "black"
                text = f"{value:.2f}"
                axes.text(column, row, text, color=ink, fontsize=7, ha="center", va="center")
    return image
