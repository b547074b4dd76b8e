"""Windows cover an image once, tiled maps are put where they belong, misfits are refused."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import avg_pool2d

from ean_transfer.data.tiles import Tiles, tiled, windows
from ean_transfer.errors import ConfigError


@given(st.integers(1, 300), st.integers(1, 12), st.integers(0, 12))
@settings(max_examples=200)
def test_windows_keep_every_pixel_once_with_context_on_both_sides(size, core, context):
    tiles = Tiles(size=core + 2 * context, overlap=2 * context)
    cut = windows(size, tiles)
    kept = [pixel for window in cut for pixel in range(window.kept.start, window.kept.stop)]
    assert kept == list(range(size))
    for window in cut:
        assert window.seen.stop - window.seen.start == min(size, tiles.size)
        assert window.seen.start == 0 or window.kept.start - window.seen.start >= context
        assert window.seen.stop == size or window.seen.stop - window.kept.stop >= context


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2))
@settings(max_examples=60)
def test_tiles_of_a_network_without_context_are_put_where_they_belong(rows, columns, context):
    inputs = torch.arange(16.0 * rows * columns).reshape(1, 1, 4 * rows, 4 * columns)
    tiles = Tiles(size=4 * (2 * context + 1), overlap=8 * context, divisor=4)
    maps = tiled(lambda x: avg_pool2d(x, 4), inputs, tiles, stride=4)
    torch.testing.assert_close(maps, avg_pool2d(inputs, 4))


@given(st.integers(1, 60), st.integers(0, 2))
@settings(max_examples=60)
def test_tiles_begin_on_the_networks_grid_whatever_the_size_of_the_image(width, context):
    inputs = torch.arange(float(width)).expand(1, 1, 5, width)
    tiles = Tiles(size=4 * (2 * context + 1), overlap=8 * context, divisor=4)
    maps = tiled(lambda x: x[..., ::4, ::4], inputs, tiles, stride=4)
    torch.testing.assert_close(maps, inputs[..., ::4, ::4])


def test_usual_overlap_is_about_a_quarter_and_aligned():
    assert Tiles.usual_overlap(1024, 32) == 256
    assert Tiles.usual_overlap(800, 32) == 192  # a multiple of 64


@pytest.mark.parametrize(
    ("tiles", "named"),
    [
        (dict(size=64, overlap=64), "size 64 and overlap 64"),
        (dict(size=66, overlap=16, divisor=4), "multiple of 4 .* size 66"),
        (dict(size=64, overlap=12, divisor=4), "multiple of 8.* overlap 12"),
        (dict(overlap=16), "'size' is missing"),
        (dict(size=64, overlap=16, shape=3), "unknown .*'shape'"),
    ],
)
def test_tiles_that_do_not_fit_are_refused(tiles, named):
    with pytest.raises(ConfigError, match=f"tiles: .*{named}"):
        Tiles(**tiles)
