"""A density-map counter on any backbone."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModel, BaseModule, ImgDataPreprocessor
from mmengine.registry import MODELS
from torch import Tensor, nn

from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.errors import ConfigError


@MODELS.register_module()
class CountingPreprocessor(ImgDataPreprocessor):
    """mmengine's image preprocessor, which in training also pads density maps, with zeros.

    Args:
        pad_size_divisor: Must be a multiple of the head's stride and, where the head upsamples, of
            the backbone's; 32 suits every ResNet.
        **kwargs: Of ``ImgDataPreprocessor``: ``mean``, ``std``, ``bgr_to_rgb``, ...
    """

    def __init__(self, *, pad_size_divisor: int = 32, **kwargs: Any) -> None:
        super().__init__(pad_size_divisor=pad_size_divisor, **kwargs)

    def forward(self, data: dict[str, Any], training: bool = False) -> dict[str, Any]:
        """Normalise and pad images to (N, 3, H, W); in training pad ``gt_density`` alike."""
        batch = super().forward(data, training)
        assert isinstance(batch, dict)
        height, width = batch["inputs"].shape[-2:]
        for sample in batch["data_samples"] or []:
            sample.set_metainfo({"batch_input_shape": (height, width)})
            if training and "gt_density" in sample:
                stride = sample.density_stride
                density = sample.gt_density
                below = math.ceil(height / stride) - density.shape[0]
                right = math.ceil(width / stride) - density.shape[1]
                sample.gt_density = F.pad(density, (0, right, 0, below))
        return batch


@MODELS.register_module()
class DensityHead(BaseModule):
    """3x3 convolution, ReLU, optional bilinear upsampling, 1x1 convolution, softplus.

    Softplus and not ReLU at the end: both keep the output from being negative, but a ReLU that is
    zero everywhere, as most of a crowd image's target is, has no gradient and never recovers.

    Args:
        in_channels: Channels of the feature map that is read.
        channels: Channels between the convolutions.
        in_index: Which of the backbone's feature maps is read.
        upsample: Whole factor by which the features are enlarged.
        stride: Output stride, in pixels of the input a cell: the backbone's stride at ``in_index``
            divided by ``upsample``. It must equal ``DensityMap``'s and is checked in forward.
    """

    def __init__(
        self,
        in_channels: int,
        channels: int = 64,
        in_index: int = -1,
        upsample: int = 1,
        stride: int = 8,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(init_cfg)
        if upsample < 1 or upsample != int(upsample):
            raise ConfigError(f"DensityHead: expected upsample as 1, 2, ..., found {upsample!r}")
        self.in_index = in_index
        self.upsample = upsample
        self.stride = stride
        self.features = nn.Conv2d(in_channels, channels, 3, padding=1)
        self.density = nn.Conv2d(channels, 1, 1)

    def forward(self, feature_maps: Sequence[Tensor]) -> Tensor:
        """Maps (N, C, H', W') of several stages -> (N, 1, upsample H', upsample W'), >= 0."""
        x = F.relu(self.features(feature_maps[self.in_index]))
        if self.upsample > 1:
            x = F.interpolate(x, scale_factor=self.upsample, mode="bilinear", align_corners=False)
        return F.softplus(self.density(x))


@MODELS.register_module()
class DensityCounter(BaseModel):
    """Count by a density map: preprocessor, backbone, head.

    The head regresses ``density_factor`` times the density; everything this class returns or stores
    is in objects again. The loss is the mean over all cells of the batch of the squared difference
    of those scaled maps: the mean, as in the C^3 Framework (Gao et al., arXiv 1907.02724, whose
    ResNet-50 counter uses a factor of 100), and not CSRNet's sum, so that the learning rate does
    not hang on crop and batch size. Padding of a batch counts as empty image.

    Args:
        backbone: Config or module; any network that returns a tuple of feature maps.
        head: Config or module, see :class:`DensityHead`.
        data_preprocessor: Config or module; :class:`CountingPreprocessor` by default.
        density_factor: See above. Densities a cell are small numbers (a sigma of 4 has its peak at
            0.01 a pixel); the factor brings them to the size that networks start from.
    """

    def __init__(
        self,
        backbone: dict | nn.Module,
        head: dict | nn.Module,
        data_preprocessor: dict | nn.Module | None = None,
        density_factor: float = 100.0,
        init_cfg: dict | list[dict] | None = None,
    ) -> None:
        super().__init__(data_preprocessor or {"type": CountingPreprocessor}, init_cfg)
        if not density_factor > 0:
            raise ConfigError(
                f"DensityCounter: expected density_factor > 0, found {density_factor!r}"
            )
        self.backbone = backbone if isinstance(backbone, nn.Module) else MODELS.build(backbone)
        self.head = head if isinstance(head, nn.Module) else MODELS.build(head)
        self.stride = cast(int, self.head.stride)
        self.density_factor = density_factor
        self._log_unused_stages()

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[CountingDataSample] | None = None,
        mode: str = "tensor",
    ) -> dict[str, Tensor] | list[CountingDataSample] | Tensor:
        """Inputs (N, 3, H, W), normalised and padded.

        - ``"loss"``: ``dict(loss_density=...)``.
        - ``"predict"``: the samples with ``pred_density`` and ``pred_count``.
        - ``"tensor"``: density maps (N, 1, ceil(H / stride), ceil(W / stride)), objects a cell.
        """
        if mode == "loss":
            return self.loss(inputs, data_samples)
        if mode == "predict":
            return self.predict(inputs, data_samples)
        if mode == "tensor":
            return self._scaled_density(inputs) / self.density_factor
        raise ValueError(f'expected mode as "loss", "predict" or "tensor", found {mode!r}')

    def loss(
        self, inputs: Tensor, data_samples: list[CountingDataSample] | None
    ) -> dict[str, Tensor]:
        """Mean squared error of the scaled density; the samples' ``gt_density`` is padded."""
        samples = data_samples or []
        if not samples or any("gt_density" not in sample for sample in samples):
            raise ConfigError(
                "DensityCounter: expected a target density in every training sample, found none; "
                "add DensityMap before PackCountingInputs in the training pipeline"
            )
        for sample in samples:
            if sample.density_stride != self.stride:
                raise ConfigError(
                    f"DensityCounter: the head's output stride is {self.stride} and the "
                    f"target's {sample.density_stride}; set DensityMap(stride={self.stride})"
                )
        target = torch.stack([sample.gt_density for sample in samples]).unsqueeze(1)
        predicted = self._scaled_density(inputs)
        # In float32 also under autocast: squares of scaled sums overflow half precision.
        loss = F.mse_loss(predicted.float(), self.density_factor * target.float())
        return {"loss_density": loss}

    def predict(
        self, inputs: Tensor, data_samples: list[CountingDataSample] | None
    ) -> list[CountingDataSample]:
        """Density and count of each image itself: what lies in the batch's padding is cut off."""
        maps = self._scaled_density(inputs).float() / self.density_factor
        samples = data_samples or [CountingDataSample() for _ in maps]
        for sample, density in zip(samples, maps, strict=True):
            height, width = sample.get("img_shape", inputs.shape[-2:])
            rows = math.ceil(height / self.stride)
            columns = math.ceil(width / self.stride)
            sample.pred_density = density[0, :rows, :columns]
            sample.pred_count = sample.pred_density.double().sum().item()
        return samples

    def _scaled_density(self, inputs: Tensor) -> Tensor:
        """The head's output, once its size is seen to be that of its stride."""
        density = self.head(self.backbone(inputs))
        expected = tuple(math.ceil(size / self.stride) for size in inputs.shape[-2:])
        if tuple(density.shape[-2:]) != expected:
            raise ConfigError(
                f"DensityCounter: for an input of {_size(inputs)} a head of stride "
                f"{self.stride} gives {expected[0]}x{expected[1]} cells, found "
                f"{_size(density)}; set the head's stride, its upsample or its in_index to fit the "
                "backbone, and the preprocessor's pad_size_divisor to a multiple of their strides"
            )
        return density

    def _log_unused_stages(self) -> None:
        """Say which stages the backbone returns, with bits of its ticket, and the head ignores.

        A ticketed backbone itself reports the stages after the last one that it returns.
        """
        ticket = getattr(self.backbone, "ticket", None)
        stages = getattr(ticket, "stages", None)
        out_indices = getattr(self.backbone, "out_indices", None)
        in_index = getattr(self.head, "in_index", None)
        if not (stages and out_indices and isinstance(in_index, int)):
            return
        returned = sorted(out_indices)
        read = returned[in_index] + 1
        bits = " ".join(str(stage) for stage in stages[read : returned[-1] + 1])
        if "1" in bits:
            print_log(
                f"DensityCounter: the head reads stage {read} of {len(stages)}; the ticket's bits "
                f"of later stages ({bits}) have no effect on the count",
                logger="current",
                level=logging.WARNING,
            )


def _size(x: Tensor) -> str:
    return f"{x.shape[-2]}x{x.shape[-1]}"
