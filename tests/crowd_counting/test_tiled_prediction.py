"""The counter in tiles: the same map as from the whole image, in the memory of one tile."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmengine.dataset import pseudo_collate

from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.crowd_counting import (
    CountingDataSample,
    CountingPreprocessor,
    DensityCounter,
    DensityHead,
)
from ean_transfer.data.tiles import Tiles
from ean_transfer.errors import ConfigError


def counter(pad_size_divisor: int = 4, **options: Any) -> DensityCounter:
    torch.manual_seed(0)
    model = DensityCounter(
        backbone=TicketResNetCIFAR(
            depth=20, base_channels=4, attention=dict(type="SE", reduction=4), ticket="none"
        ),
        head=DensityHead(in_channels=16, channels=8, stride=4),
        data_preprocessor=CountingPreprocessor(
            mean=[127.5] * 3, std=[64.0] * 3, pad_size_divisor=pad_size_divisor
        ),
        **options,
    ).eval()
    for module in model.modules():  # statistics as after a training, far from those at the start
        if isinstance(module, torch.nn.BatchNorm2d):
            module.running_mean.uniform_(-1, 1)
            module.running_var.uniform_(0.5, 2)
            torch.nn.init.uniform_(module.weight, 0.5, 1.5)
            torch.nn.init.uniform_(module.bias, -0.5, 0.5)
    return model


def predict(model: DensityCounter, image: torch.Tensor) -> CountingDataSample:
    sample = CountingDataSample(metainfo={"img_shape": tuple(image.shape[1:])})
    (predicted,) = model.test_step(pseudo_collate([{"inputs": image, "data_samples": sample}]))
    return predicted


def test_tiled_prediction_equals_the_whole_image() -> None:
    """ResNet-20 sees 43 pixels to each side and the head 4 more: 48 of context are enough."""
    generator = torch.Generator().manual_seed(1)
    image = torch.randint(0, 256, (3, 210, 283), generator=generator, dtype=torch.uint8)
    whole = predict(counter(), image)
    cut = predict(counter(tiles=dict(size=128, overlap=96)), image)
    assert cut.pred_density.shape == whole.pred_density.shape == (53, 71)
    torch.testing.assert_close(cut.pred_density, whole.pred_density, rtol=1e-4, atol=1e-7)
    assert cut.pred_count == pytest.approx(whole.pred_count, rel=1e-4)
    # Too little context shows: the test above can tell.
    short = predict(counter(tiles=dict(size=128, overlap=16)), image)
    assert not torch.allclose(short.pred_density, whole.pred_density, rtol=1e-3)


def test_network_never_sees_more_than_a_tile() -> None:
    model = counter(tiles=dict(size=64, overlap=16))
    seen: list[tuple[int, ...]] = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(tuple(args[0].shape[-2:])))
    predict(model, torch.zeros(3, 150, 70, dtype=torch.uint8))
    assert seen == [(64, 64)] * 6
    seen.clear()
    predict(model, torch.zeros(3, 40, 60, dtype=torch.uint8))
    assert seen == [(40, 60)]


def test_tiles_are_aligned_with_the_padding_and_the_head() -> None:
    assert counter(tiles=dict(size=100)).tiles == Tiles(size=100, overlap=24, divisor=4)
    for divisor in (1, 4):  # the head's stride is 4
        with pytest.raises(ConfigError, match="multiple of 4 .* size 66"):
            counter(divisor, tiles=dict(size=66, overlap=16))
    with pytest.raises(ConfigError, match="tiles: .*'size' is missing"):
        counter(tiles=dict(overlap=16))
