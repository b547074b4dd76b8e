"""Random parts of a data set: a draw and its rest are the pool, for ever the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from mmengine.config import ConfigDict

from ean_transfer.crowd_counting.datasets import (
    CountingDataset,
    DotImageDataset,
    Draw,
    JHUCrowdDataset,
    NWPUCrowdDataset,
    QNRFDataset,
    ShanghaiTechDataset,
)
from ean_transfer.errors import ConfigError
from tests.crowd_counting.folders import write_jhu


def names(dataset: CountingDataset) -> list[str]:
    return [Path(dataset.get_data_info(index)["img_path"]).stem for index in range(len(dataset))]


@given(
    pool=st.integers(1, 60),
    share=st.floats(0, 1),
    seed=st.integers(0, 2**32 - 1),
    others=st.integers(0, 5),
)
def test_a_draw_and_its_rest_are_the_pool(pool: int, share: float, seed: int, others: int) -> None:
    size = max(1, round(share * pool))
    draw = dict(pool=pool, size=size, seed=seed)
    drawn = Draw(**draw).indices(pool + others)
    assert len(drawn) == size and drawn == sorted(set(drawn))
    assert drawn == Draw(**draw).indices(pool)
    if size < pool:
        rest = Draw(**draw, rest=True).indices(pool + others)
        assert rest == sorted(rest)
        assert sorted(drawn + rest) == list(range(pool))
        assert set(drawn) < set(Draw(**draw | {"size": size + 1}).indices(pool))


def test_a_seed_draws_the_same_for_ever_and_another_draws_others() -> None:
    assert Draw(pool=10, size=4, seed=0).indices(10) == [2, 4, 8, 9]
    draws = {tuple(Draw(pool=100, size=50, seed=seed).indices(200)) for seed in range(20)}
    assert len(draws) == 20


@pytest.mark.parametrize("draw", [dict(pool=5, size=3), ConfigDict(pool=5, size=3, seed=0)])
def test_a_data_set_keeps_what_is_drawn(tmp_path: Path, draw: dict[str, Any]) -> None:
    write_jhu(tmp_path, {number: [(number, 1)] for number in range(1, 8)})
    drawn = names(JHUCrowdDataset(tmp_path, draw=draw))
    rest = names(JHUCrowdDataset(tmp_path, draw=dict(draw, rest=True)))
    assert len(drawn) == 3 and drawn == sorted(drawn)
    assert sorted(drawn + rest) == [f"{number:04d}" for number in range(1, 6)]
    assert names(JHUCrowdDataset(tmp_path, draw=draw, indices=-1)) == drawn[-1:]


@pytest.mark.parametrize(
    ("draw", "named"),
    [
        (dict(pool=5, size=6), "size=6.*pool=5"),
        (dict(pool=8, size=3), "pool=8 .* 7 images"),
        (dict(pool=5, size=5, rest=True), "size=5.*rest"),
        (dict(pool=5, size=0), "size.* found 0"),
        (dict(pool=5, size=2.5), "size.* found 2.5"),
        (dict(pool=5, size=2, seed=2**32), "seed.* found 4294967296"),
        (dict(pool=5, size=2, part=1), "unknown.* 'part'"),
        (dict(size=2), "'pool'.* missing"),
    ],
)
def test_a_draw_that_does_not_fit_is_refused(
    tmp_path: Path, draw: dict[str, Any], named: str
) -> None:
    write_jhu(tmp_path, {number: [] for number in range(1, 8)})
    with pytest.raises(ConfigError, match=f"draw: .*{named}"):
        JHUCrowdDataset(tmp_path, draw=draw)


def test_every_data_set_takes_a_draw(tmp_path: Path) -> None:
    draw = dict(pool=2, size=1)
    for cls in (QNRFDataset, NWPUCrowdDataset, DotImageDataset):
        assert cls(tmp_path, draw=draw, lazy_init=True).draw == Draw(**draw)
    assert ShanghaiTechDataset(tmp_path, "A", draw=draw, lazy_init=True).draw == Draw(**draw)
