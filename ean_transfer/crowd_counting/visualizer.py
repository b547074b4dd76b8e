"""Pictures of samples in mmengine's visualiser, and of some at each validation and test."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cv2
import mmcv
import numpy as np
import numpy.typing as npt
from mmengine.dist import is_main_process, master_only
from mmengine.hooks import Hook
from mmengine.registry import HOOKS, VISUALIZERS
from mmengine.runner import BaseLoop, IterBasedTrainLoop, Runner
from mmengine.visualization import Visualizer
from torch import Tensor

from ean_transfer.crowd_counting.points import as_points
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.crowd_counting.visualize import Picture, draw_density
from ean_transfer.errors import ConfigError


def draw_sample(
    image_rgb: npt.NDArray[np.uint8],
    data_sample: CountingDataSample | None,
    *,
    draw_gt: bool = True,
    draw_pred: bool = True,
    side_by_side: bool = False,
) -> Picture:
    """What a sample holds of truth and prediction, by :func:`draw_density`.

    Args:
        image_rgb: (H, W, 3) uint8. May be larger or smaller than the network's input, as long as it
            shows the same: the points are scaled by the sample's ``img_shape``.
        data_sample: Any of ``gt_points`` (drawn as rings), ``gt_count``, ``pred_density`` (as a
            heat map) and ``pred_count`` may be missing, on any device; None for the image alone.
        draw_gt: Whether to show the truth.
        draw_pred: Whether to show the prediction.
        side_by_side: Image with points | heat map, where there is a heat map.

    Returns:
        RGB uint8, see :func:`draw_density`.
    """
    sample = CountingDataSample() if data_sample is None else data_sample.detach().cpu()
    points = as_points(sample.get("gt_points", []) if draw_gt else [])
    height, width = image_rgb.shape[:2]
    input_height, input_width = sample.get("img_shape", (height, width))[:2]
    factors = np.array((width / input_width, height / input_height), dtype=np.float32)
    points = (points + 0.5) * factors - 0.5
    density = sample.get("pred_density") if draw_pred else None
    return draw_density(
        image_rgb,
        density,
        points,
        count=sample.get("gt_count") if draw_gt else None,
        pred=sample.get("pred_count") if draw_pred else None,
        side_by_side=side_by_side and density is not None,
    )


@VISUALIZERS.register_module()
class CountingVisualizer(Visualizer):
    """mmengine's visualiser with samples of crowd counting.

    Args:
        name: The instance's name, by which mmengine finds it.
        side_by_side: Image with points | heat map, instead of both in one.
        **kwargs: Of mmengine's ``Visualizer``: ``vis_backends``, ``save_dir``, ...
    """

    def __init__(
        self, name: str = "visualizer", *, side_by_side: bool = False, **kwargs: Any
    ) -> None:
        super().__init__(name, **kwargs)
        self.side_by_side = side_by_side

    @master_only
    def add_datasample(
        self,
        name: str,
        image: npt.NDArray[np.uint8],
        data_sample: CountingDataSample | None = None,
        draw_gt: bool = True,
        draw_pred: bool = True,
        show: bool = False,
        wait_time: float = 0,
        out_file: str | None = None,
        step: int = 0,
    ) -> None:
        """Draw a sample by :func:`draw_sample` and give it to all back ends, or write it.

        Args:
            name: The picture's name in the back ends, and the window's title.
            image: (H, W, 3) uint8 RGB.
            data_sample: The sample; None for the image alone.
            draw_gt: Whether to show the truth.
            draw_pred: Whether to show the prediction.
            show: Also open a window.
            wait_time: How long the window stays, in seconds; 0 until a key is pressed.
            out_file: Write the picture to this file and not to the back ends.
            step: Epoch or iteration, for the back ends.
        """
        picture = draw_sample(
            image,
            data_sample,
            draw_gt=draw_gt,
            draw_pred=draw_pred,
            side_by_side=self.side_by_side,
        )
        if show:
            self.show(picture, win_name=name, wait_time=wait_time)
        if out_file is not None:
            mmcv.imwrite(mmcv.rgb2bgr(picture), str(out_file))
        else:
            self.add_image(name, picture, step)


@HOOKS.register_module()
class CountingVisualizationHook(Hook):
    """Gives pictures of some images to the runner's visualiser at each validation and test.

    The images are spread evenly over the data set and the same each time (if its sampler does not
    shuffle), so that a training can be followed. Any mmengine visualiser will do; its
    ``LocalVisBackend`` writes ``vis_data/vis_image/val_<index>_<image's name>_<step>.png`` (or
    ``test_...``) in the run's folder, where the step is the number of epochs trained, or of
    iterations if the training loop counts those, and 0 where nothing is trained. Of several
    processes the first one draws, of the images that it evaluates itself.

    Args:
        images: How many.
        max_side: Larger images are shrunk to a longer side of so many pixels: a photograph of
            6000 x 4000 would fill 40 megabytes at each validation. None for never.
        side_by_side: Image with points | heat map, instead of both in one.
        test: Whether to draw at tests as well.

    Raises:
        ConfigError: ``images`` or ``max_side`` is not positive.
    """

    priority = "LOW"

    def __init__(
        self,
        images: int = 4,
        max_side: int | None = 1600,
        side_by_side: bool = False,
        test: bool = True,
    ) -> None:
        if images < 1 or (max_side is not None and max_side < 1):
            raise ConfigError(
                "CountingVisualizationHook: expected images and max_side as positive numbers, "
                f"found {images!r} and {max_side!r}"
            )
        self.images = images
        self.max_side = max_side
        self.side_by_side = side_by_side
        self.test = test
        self._seen = 0  # images of the present validation or test

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
        chosen = _evenly_spread(self.images, len(loader.sampler))
        for image, sample in zip(data_batch["inputs"], outputs, strict=True):
            if self._seen in chosen:
                index = sample.get("sample_idx", self._seen)
                name = f"{stage}_{index}_{Path(sample.get('img_path', '')).stem}".rstrip("_")
                picture = draw_sample(
                    _shrunk(unpacked_rgb(image), self.max_side),
                    sample,
                    side_by_side=self.side_by_side,
                )
                runner.visualizer.add_image(name, picture, _step(runner))
            self._seen += 1


def _evenly_spread(count: int, total: int) -> set[int]:
    """The first, the last and others between, of ``range(total)``; all if there are no more."""
    return set(np.linspace(0, total - 1, min(count, total)).round().astype(int).tolist())


def unpacked_rgb(inputs: Tensor) -> npt.NDArray[np.uint8]:
    """A packed (3, H, W) BGR image as (H, W, 3) RGB."""
    return np.ascontiguousarray(inputs.cpu().numpy()[::-1].transpose(1, 2, 0))


def _shrunk(image: npt.NDArray[np.uint8], max_side: int | None) -> npt.NDArray[np.uint8]:
    height, width = image.shape[:2]
    if max_side is None or max(height, width) <= max_side:
        return image
    factor = max_side / max(height, width)
    size = max(1, round(width * factor)), max(1, round(height * factor))
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _step(runner: Runner) -> int:
    # Not `runner.epoch`: where only a test runs, it would build the training loop and its data.
    loop = runner._train_loop
    if not isinstance(loop, BaseLoop):
        return 0
    return loop.iter if isinstance(loop, IterBasedTrainLoop) else loop.epoch
