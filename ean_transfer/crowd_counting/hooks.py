"""The hook that shows pictures of some images at each validation and test of a counter."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner

from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.crowd_counting.visualizer import draw_sample, unpacked_rgb
from ean_transfer.io.checked import Positive, checked_arguments
from ean_transfer.visualization.picture import fit_picture
from ean_transfer.visualization.sheet import evenly_spread


@HOOKS.register_module()
class CountingVisualizationHook(Hook):
    """Give pictures of some images to the runner's visualiser at each validation and test.

    The images are spread evenly over the data set and are the same each time (if its sampler does
    not shuffle), so that a training can be followed. Any mmengine visualiser can be used; its
    ``LocalVisBackend`` writes ``vis_data/vis_image/val_<index>_<image's name>_<step>.png`` (or
    ``test_...``) in the run's folder. The step is the number of epochs trained, or of iterations if
    the training loop counts those, and 0 where nothing is trained. Of several processes only the
    first one draws, and only images that it evaluates itself.

    Args:
        images: Number of images.
        max_side: Longer side in pixels to which larger images are shrunk: a photograph of
            6000 x 4000 would fill 40 megabytes at each validation. None for never.
        side_by_side: Draw image with points | heat map, instead of both in one.
        test: Whether to draw at tests as well.

    Raises:
        ConfigError: ``images`` or ``max_side`` is not positive.
    """

    priority = "LOW"

    @checked_arguments
    def __init__(
        self,
        images: Positive = 4,
        max_side: Positive | None = 1600,
        side_by_side: bool = False,
        test: bool = True,
    ) -> None:
        self.images = images
        self.max_side = max_side
        self.side_by_side = side_by_side
        self.test = test
        self._seen = 0  # images so far in this validation or test

    def before_val_epoch(self, runner: Runner) -> None:
        self._seen = 0

    def before_test_epoch(self, runner: Runner) -> None:
        self._seen = 0

    def after_val_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CountingDataSample] | None = None,
    ) -> None:
        self._draw(runner, "val", runner.val_dataloader, data_batch, outputs or [])

    def after_test_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: Sequence[CountingDataSample] | None = None,
    ) -> None:
        if self.test:
            self._draw(runner, "test", runner.test_dataloader, data_batch, outputs or [])

    def _draw(
        self,
        runner: Runner,
        stage: str,
        loader: Any,
        data_batch: Any,
        outputs: Sequence[CountingDataSample],
    ) -> None:
        if not is_main_process():
            return
        total = len(loader.sampler)
        chosen = evenly_spread(min(self.images, total), total)
        for image, sample in zip(data_batch["inputs"], outputs, strict=True):
            if self._seen in chosen:
                index = sample.get("sample_idx", self._seen)
                name = f"{stage}_{index}_{Path(sample.get('img_path', '')).stem}".rstrip("_")
                shown = unpacked_rgb(image)
                if self.max_side is not None:
                    shown = fit_picture(shown, self.max_side, enlarge=False)
                picture = draw_sample(shown, sample, side_by_side=self.side_by_side)
                runner.visualizer.add_image(name, picture, _step(runner))
            self._seen += 1


def _step(runner: Runner) -> int:
    # Not `runner.epoch`, which builds the training loop and its data where only a test runs.
    loop = runner._train_loop
    if not isinstance(loop, BaseLoop):
        return 0
    return loop.iter if isinstance(loop, IterBasedTrainLoop) else loop.epoch
