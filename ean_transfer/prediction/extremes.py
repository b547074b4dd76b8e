"""The test images on which a network is most wrong and most right, in one picture."""

from __future__ import annotations

import heapq
import logging
import math
import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from mmengine.dist import all_gather_object, get_dist_info, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import Tensor

from ean_transfer.engine.inference import Predictor
from ean_transfer.errors import ConfigError
from ean_transfer.prediction.loading import TASKS
from ean_transfer.visualization.picture import Picture, fit_picture, write_picture
from ean_transfer.visualization.sheet import LINE, SIDE, Cell, draw_sheet, in_rows, joined
from ean_transfer.visualization.text import draw_text

NAME = "worst_and_best.png"
"""Name of the picture in a work dir."""


class _Judged(NamedTuple):
    rank: float
    order: int
    """Minus the place of the image in the set, so that of equals the first ones stay."""
    cell: Cell


class ExtremesHook(Hook):
    """Draws the images of a test on which the network is most wrong and most right.

    A classifier is judged by the score of the true class, a segmentor by the image's mean IoU, a
    counter by the difference of the counts. Nothing is drawn where no image has labels.

    Args:
        file: The picture to write.
        number: Number of the worst images, and of the best.

    Attributes:
        drawn: Whether the last test has written the picture.
    """

    priority = "LOW"

    def __init__(self, file: str | os.PathLike[str], number: int = 4) -> None:
        self.file = Path(file)
        self.number = number
        self.drawn = False
        self._predictor: Predictor[Any] | None = None
        self._worst: list[_Judged] = []
        self._best: list[_Judged] = []
        self._seen = 0

    def before_test(self, runner: Runner) -> None:
        self._worst, self._best, self._seen, self._predictor = [], [], 0, None
        self.drawn = False
        model: Any = runner.model
        while hasattr(model, "module"):  # a wrapper for several processes, or for TTA
            model = model.module
        kind = next((kind for kind in TASKS.values() if isinstance(model, kind.kind)), None)
        if kind is None:
            return
        try:
            metainfo = getattr(runner.test_dataloader.dataset, "metainfo", {})
            self._predictor = kind(model, kind.setting_of(runner.cfg, metainfo))
        except ConfigError as error:  # what a test does not need
            runner.logger.log(logging.WARNING, f"{NAME} is not drawn: {error}")

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[Any] | None = None,
    ) -> None:
        inputs = data_batch["inputs"]
        if isinstance(inputs[0], (list, tuple)):  # the views of test-time augmentation
            inputs = inputs[0]
        for image, sample in zip(inputs, outputs or (), strict=True):
            self._add(image, sample)

    def after_test(self, runner: Runner) -> None:
        gathered = all_gather_object((self._worst, self._best))
        if not is_main_process() or not any(worst for worst, _ in gathered):
            return
        worst, best = (
            heapq.nlargest(self.number, chain.from_iterable(lists), key=lambda judged: judged[:2])
            for lists in zip(*gathered, strict=True)
        )
        # Of few images the same ones would be both.
        shown = {id(judged.cell): judged for judged in worst}
        best = [judged for judged in best if id(judged.cell) not in shown]
        self.file.parent.mkdir(parents=True, exist_ok=True)
        kind = getattr(self._predictor, "judged", "")
        titles = [joined(title, kind) for title in ("most wrong", "most right")]
        write_picture(self.file, _sheet(dict(zip(titles, (worst, best), strict=True))))
        self.drawn = True
        runner.logger.info(f"the most wrong and the most right images: {self.file}")

    def _add(self, image: Tensor, sample: Any) -> None:
        process, processes = get_dist_info()
        place = self._seen * processes + process + 1  # processes take turns
        self._seen += 1
        predictor = self._predictor
        judgement = None if predictor is None else predictor.judge(sample)
        if predictor is None or judgement is None:
            return
        error = math.inf if math.isnan(judgement.error) else judgement.error
        cell = None
        for kept, rank in ((self._worst, error), (self._best, -error)):
            entry = (rank, -place)
            if len(kept) == self.number and entry < kept[0][:2]:
                continue
            if cell is None:  # most images are neither, and are not drawn
                picture = predictor.draw_judged(sample, _rgb(image, predictor))
                name = Path(str(sample.get("img_path") or f"image {place}")).name
                small = fit_picture(picture, (SIDE, 2 * SIDE))
                cell = Cell(small, joined(name, judgement.text))
            heapq.heappush(kept, _Judged(*entry, cell))
            if len(kept) > self.number:
                heapq.heappop(kept)


def _sheet(groups: dict[str, list[_Judged]]) -> Picture:
    """Rows of pictures under a title for each group that has some."""
    parts = {title: [judged.cell for judged in group] for title, group in groups.items() if group}
    widest = max(cell.picture.shape[1] for cells in parts.values() for cell in cells)
    columns = 4 if widest <= SIDE else 2
    sheets = {title: draw_sheet(in_rows(cells, columns)) for title, cells in parts.items()}
    width = max(sheet.shape[1] for sheet in sheets.values())
    strips = []
    for title, sheet in sheets.items():
        filled = np.zeros((sheet.shape[0], width, 3), np.uint8) + sheet[0, 0]
        filled[:, : sheet.shape[1]] = sheet
        strips += [draw_text(f" {title}", width, LINE), filled]
    return np.vstack(strips)


def _rgb(image: Tensor, predictor: Predictor[Any]) -> Picture:
    """A network's input (3, H, W) as an RGB picture."""
    pixels = image.detach().cpu().numpy()
    ordered = pixels if predictor.setting.gives_rgb else pixels[::-1]
    return np.ascontiguousarray(ordered.transpose(1, 2, 0).clip(0, 255), dtype=np.uint8)
