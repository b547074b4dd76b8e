import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from mmengine.dataset import pseudo_collate

from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.crowd_counting import CountingDataSample, DensityCounter, DensityHead
from ean_transfer.data.tiles import Tiles, tiled, windows
from ean_transfer.errors import ConfigError


@given(st.integers(1, 300), st.integers(1, 12), st.integers(0, 12))
@settings(max_examples=200, deadline=None)
def test_windows_keep_every_pixel_once_with_context_on_both_sides(size, core, context):
    tiles = Tiles(size=core + 2 * context, overlap=2 * context)
    found = windows(size, tiles)
    kept = [pixel for window in found for pixel in range(window.kept.start, window.kept.stop)]
    assert kept == list(range(size))
    for window in found:
        assert window.seen.stop - window.seen.start == min(size, tiles.size)
        assert window.seen.start == 0 or window.kept.start - window.seen.start >= context
        assert window.seen.stop == size or window.seen.stop - window.kept.stop >= context


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2))
@settings(max_examples=60, deadline=None)
def test_tiles_of_a_network_without_context_are_put_where_they_belong(rows, columns, context):
    inputs = torch.arange(16.0 * rows * columns).reshape(1, 1, 4 * rows, 4 * columns)
    tiles = Tiles(size=4 * (2 * context + 1), overlap=8 * context)
    found = tiled(lambda x: torch.nn.functional.avg_pool2d(x, 4), inputs, tiles, stride=4)
    torch.testing.assert_close(found, torch.nn.functional.avg_pool2d(inputs, 4))


def counter(ticket="none", **options):
    torch.manual_seed(0)
    backbone = TicketResNetCIFAR(
        depth=20, base_channels=4, attention=dict(type="SE", reduction=4), ticket=ticket
    )
    model = DensityCounter(
        backbone=backbone,
        head=DensityHead(in_channels=16, channels=8, stride=4),
        data_preprocessor=dict(
            type="CountingPreprocessor", mean=[127.5] * 3, std=[64.0] * 3, pad_size_divisor=4
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


def predict(model, image):
    height, width = image.shape[1:]
    item = {
        "inputs": image,
        "data_samples": CountingDataSample(metainfo={"img_shape": (height, width)}),
    }
    (sample,) = model.test_step(pseudo_collate([item]))
    return sample


def test_tiled_prediction_equals_the_whole_image():
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


def test_network_never_sees_more_than_a_tile():
    model = counter(tiles=dict(size=64, overlap=16))
    seen = []
    model.backbone.register_forward_pre_hook(lambda _, args: seen.append(args[0].shape[-2:]))
    predict(model, torch.zeros(3, 150, 70, dtype=torch.uint8))
    assert len(seen) == 6
    assert set(seen) == {(64, 64)}
    seen.clear()
    predict(model, torch.zeros(3, 40, 60, dtype=torch.uint8))
    assert seen == [(40, 60)]


def test_overlap_is_about_a_quarter_by_default():
    assert counter(tiles=dict(size=100)).tiles == Tiles(size=100, overlap=24)
    assert Tiles.usual_overlap(1024, 32) == 256
    assert Tiles.usual_overlap(800, 32) == 192  # a multiple of 64


def test_tiles_of_a_batch_that_is_not_padded_to_the_stride_are_refused():
    with pytest.raises(ConfigError, match="pad_size_divisor must be a multiple of the stride 4"):
        DensityCounter(
            backbone=counter().backbone,
            head=DensityHead(in_channels=16, stride=4),
            data_preprocessor=dict(type="CountingPreprocessor", pad_size_divisor=1),
            tiles=dict(size=64, overlap=16),
        )


@pytest.mark.parametrize(
    ("tiles", "says"),
    [
        (dict(size=64, overlap=64), "0 <= overlap < size"),
        (dict(size=66, overlap=16), "a multiple of 4 pixels"),
        (dict(size=64, overlap=12), "one of 8"),
        (dict(overlap=16), "tiles as dict"),
        (dict(size=64, overlap=16, shape=3), "tiles as dict"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(tiles, says):
    with pytest.raises(ConfigError, match=says):
        counter(tiles=tiles)
