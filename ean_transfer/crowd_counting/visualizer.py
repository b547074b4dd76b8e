"""Drawing a sample's truth and prediction, alone and as mmengine's visualiser."""

from __future__ import annotations

from typing import Any

import mmcv
import numpy as np
import numpy.typing as npt
from mmengine.dist import master_only
from mmengine.registry import VISUALIZERS
from mmengine.visualization import Visualizer
from torch import Tensor

from ean_transfer.crowd_counting.points import as_points
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.visualization.density import draw_density
from ean_transfer.visualization.picture import Picture


def draw_sample(
    image_rgb: npt.NDArray[np.uint8],
    data_sample: CountingDataSample | None,
    *,
    draw_gt: bool = True,
    draw_pred: bool = True,
    side_by_side: bool = False,
) -> Picture:
    """Draw a sample's truth and prediction by :func:`draw_density`.

    Args:
        image_rgb: (H, W, 3) uint8. May be larger or smaller than the network's input, if it shows
            the same: points are scaled from the sample's ``img_shape`` to this image.
        data_sample: The sample, on any device; None for the image alone. Its ``gt_points`` are
            drawn as rings and its ``pred_density`` as a heat map; these, ``gt_count`` and
            ``pred_count`` may each be missing.
        draw_gt: Whether to show the truth.
        draw_pred: Whether to show the prediction.
        side_by_side: Draw image with points | heat map, if there is a heat map.

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
    stride = sample.get("pred_stride")
    cell = None if stride is None else (stride * float(factors[1]), stride * float(factors[0]))
    return draw_density(
        image_rgb,
        density,
        points,
        count=sample.get("gt_count") if draw_gt else None,
        pred=sample.get("pred_count") if draw_pred else None,
        cell=cell,
        side_by_side=side_by_side and density is not None,
    )


@VISUALIZERS.register_module()
class CountingVisualizer(Visualizer):
    """mmengine's visualiser for samples of crowd counting.

    Args:
        name: The instance's name, by which mmengine finds it.
        side_by_side: Draw image with points | heat map, instead of both in one.
        **kwargs: Arguments of mmengine's ``Visualizer``: ``vis_backends``, ``save_dir``, ...
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
            wait_time: Seconds that the window stays open; 0 until a key is pressed.
            out_file: File to write the picture to, instead of the back ends.
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


def unpacked_rgb(inputs: Tensor) -> npt.NDArray[np.uint8]:
    """A packed (3, H, W) BGR image as (H, W, 3) RGB."""
    return np.ascontiguousarray(inputs.cpu().numpy()[::-1].transpose(1, 2, 0))
