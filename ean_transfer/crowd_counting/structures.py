"""The data sample: truth and prediction of one image, from the pipeline to the metric."""

from __future__ import annotations

from mmengine.structures import BaseDataElement
from torch import Tensor


class CountingDataSample(BaseDataElement):
    """Truth and prediction of one image.

    Data fields (each optional):

    - ``gt_points``: (N, 2) float, (x, y) in pixels of the network's input image, before padding.
      Missing, like ``gt_count``, where the image has no labels.
    - ``gt_density``: (h, w) float, objects per cell, without the batch's padding.
    - ``gt_count``: number of points. The truth that metrics use; never a map's sum.
    - ``pred_density``: (ceil(H / stride), ceil(W / stride)) float, without the batch's padding.
    - ``pred_count``: sum of ``pred_density``.

    Meta fields: ``img_path``, ``sample_idx``, ``ori_shape``, ``img_shape`` (H, W) of the network's
    input before padding, ``density_stride`` and ``density_sigma`` (pixels, or ``"adaptive"``) of
    ``gt_density``, and ``batch_input_shape`` (H, W) after padding.
    """

    gt_points: Tensor
    gt_density: Tensor
    gt_count: float
    pred_density: Tensor
    pred_count: float
