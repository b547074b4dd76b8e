"""The counter: any backbone, optional neck, density head, losses, and prediction in tiles."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal, TypeAlias, cast

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from pydantic import SkipValidation
from torch import Tensor, nn

from ean_transfer.crowd_counting.losses import DensityMSE
from ean_transfer.crowd_counting.preprocessor import CountingPreprocessor
from ean_transfer.crowd_counting.structures import CountingDataSample
from ean_transfer.data.tiles import Tiles, tiled
from ean_transfer.errors import ConfigError
from ean_transfer.io.checked import PositiveNumber, checked_arguments

Part: TypeAlias = SkipValidation[dict[str, Any] | nn.Module]
"""A config for mmengine's registry, or a module. pydantic would copy a config and lose its lazy
objects."""


@MODELS.register_module()
class DensityCounter(BaseModel):
    """Count by a density map: preprocessor, backbone, optional neck, head, losses.

    The head regresses ``density_factor`` times the density; everything that this class returns,
    stores or hands to a loss is in objects again.

    Args:
        backbone: Config or module; any network that returns a tuple of feature maps.
        head: Config or module, see :class:`~ean_transfer.crowd_counting.heads.DensityHead`.
        neck: Config or module, from the backbone's tuple to the head's, e.g. mmsegmentation's
            ``FPN``.
        losses: Config or module of one or several losses, whose terms are added up;
            :class:`~ean_transfer.crowd_counting.losses.DensityMSE` with this ``density_factor`` by
            default.
        data_preprocessor: Config or module; :class:`CountingPreprocessor` by default.
        density_factor: Ratio of the head's output to the density. Densities per cell are small
            numbers (a sigma of 4 has its peak at 0.01 per pixel); the factor brings them to the
            size of a new network's outputs.
        tiles: ``dict(size=..., overlap=...)`` in pixels: images larger than ``size`` are predicted
            in tiles, see :class:`~ean_transfer.data.tiles.Tiles`. By default the overlap is about a
            quarter of the size.
        init_cfg: Initial weights, see mmengine's ``BaseModule``.

    Raises:
        ConfigError: The factor is not positive, or the tiles do not fit the network's strides.
    """

    @checked_arguments
    def __init__(
        self,
        backbone: Part,
        head: Part,
        neck: Part | None = None,
        losses: SkipValidation[Part | Sequence[Part] | None] = None,
        data_preprocessor: Part | None = None,
        density_factor: PositiveNumber = 100.0,
        tiles: Mapping[str, Any] | None = None,
        init_cfg: SkipValidation[dict | list[dict] | None] = None,
    ) -> None:
        super().__init__(data_preprocessor or {"type": CountingPreprocessor}, init_cfg)
        self.backbone = _built(backbone)
        self.neck = None if neck is None else _built(neck)
        self.head = _built(head)
        if losses is None:
            losses = DensityMSE(density_factor)
        several = losses if isinstance(losses, (list, tuple)) else [losses]
        self.losses = nn.ModuleList(_built(loss) for loss in several)
        self.stride = cast(int, self.head.stride)
        self.density_factor = density_factor
        self.tiles = None if tiles is None else self._tiles(tiles)
        self._log_unused_stages()

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[CountingDataSample] | None = None,
        mode: Literal["loss", "predict", "tensor"] = "tensor",
    ) -> dict[str, Tensor] | list[CountingDataSample] | Tensor:
        """Take inputs (N, 3, H, W), normalised and padded, and return by mode.

        - ``"loss"``: the terms of the losses, ``dict(loss_density=...)`` by default.
        - ``"predict"``: the samples with ``pred_density`` and ``pred_count``.
        - ``"tensor"``: density maps (N, 1, ceil(H / stride), ceil(W / stride)), objects per cell.
        """
        if mode == "loss":
            return self.loss(inputs, data_samples or [])
        if mode == "predict":
            return self.predict(inputs, data_samples)
        return self.density(inputs)

    def loss(self, inputs: Tensor, data_samples: list[CountingDataSample]) -> dict[str, Tensor]:
        """The terms of all losses; terms of the same name are added up."""
        density = self.density(inputs)
        terms: dict[str, Tensor] = {}
        # Squares of scaled sums and the costs of a transport overflow half precision.
        with torch.autocast(density.device.type, enabled=False):
            for loss in self.losses:
                for name, value in loss(density.float(), data_samples, self.stride).items():
                    terms[name] = terms[name] + value if name in terms else value
        return terms

    def predict(
        self, inputs: Tensor, data_samples: list[CountingDataSample] | None
    ) -> list[CountingDataSample]:
        """Density and count of each image, with the batch's padding cut off."""
        if self.tiles is None:
            maps = self.density(inputs).float()
        else:
            maps = tiled(self.density, inputs, self.tiles, self.stride).float()
        samples = data_samples or [CountingDataSample() for _ in maps]
        for sample, density in zip(samples, maps, strict=True):
            height, width = sample.get("img_shape", inputs.shape[-2:])
            rows = math.ceil(height / self.stride)
            columns = math.ceil(width / self.stride)
            sample.set_metainfo({"pred_stride": self.stride})
            sample.pred_density = density[0, :rows, :columns]
            # On the CPU, since not every accelerator has double precision.
            sample.pred_count = sample.pred_density.cpu().double().sum().item()
        return samples

    def density(self, inputs: Tensor) -> Tensor:
        """Density maps of inputs of any size, objects per cell.

        Raises:
            ConfigError: The head's output has another stride than the head says.
        """
        feature_maps = self.backbone(inputs)
        if self.neck is not None:
            feature_maps = self.neck(feature_maps)
        density = self.head(feature_maps)
        rows, columns = (math.ceil(size / self.stride) for size in inputs.shape[-2:])
        if tuple(density.shape[-2:]) != (rows, columns):
            raise ConfigError(
                f"DensityCounter: expected {rows}x{columns} cells from a head of stride "
                f"{self.stride} and an input of {_size(inputs)}, found {_size(density)}; fit the "
                "head's stride, upsample and in_index and the pad_size_divisor to the backbone"
            )
        return density / self.density_factor

    def _tiles(self, settings: Mapping[str, Any]) -> Tiles:
        """Tiles that begin where the cells of the map and the preprocessor's padding do."""
        divisor = math.lcm(self.stride, getattr(self.data_preprocessor, "pad_size_divisor", 1))
        size = settings.get("size")
        usual = {"overlap": Tiles.usual_overlap(size, divisor)} if isinstance(size, int) else {}
        return Tiles(**{**usual, **settings, "divisor": divisor})

    def _log_unused_stages(self) -> None:
        """Log a warning if the head ignores returned stages that the ticket has bits for.

        A ticketed backbone itself reports the stages after the last one that it returns. Which
        stages a neck reads is not known here.
        """
        ticket = getattr(self.backbone, "ticket", None)
        stages = getattr(ticket, "stages", None)
        out_indices = getattr(self.backbone, "out_indices", None)
        in_index = getattr(self.head, "in_index", None)
        if self.neck is not None or not (stages and out_indices and isinstance(in_index, int)):
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


def _built(part: Any) -> nn.Module:
    return part if isinstance(part, nn.Module) else MODELS.build(part)


def _size(x: Tensor) -> str:
    return f"{x.shape[-2]}x{x.shape[-1]}"
