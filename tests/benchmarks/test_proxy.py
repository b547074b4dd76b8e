"""How scores of masks agree with the ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.proxy import judged, proxies, split_half
from benchmarks.tables import ScoreTable, make_table
from ean_transfer.attention import SE
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import mask_of


def test_reliability_and_agreement(truth_of) -> None:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=64)
    exact = truth_of(np.stack([quality] * 4, axis=1))
    noisy = truth_of(quality[:, None] + rng.normal(size=(64, 4)))
    reliability = split_half(noisy)
    assert split_half(exact) == pytest.approx(1.0)
    assert reliability is not None and 0.2 < reliability < 0.8
    assert split_half(truth_of(quality[:, None])) is None
    assert judged("itself", quality, exact).tau == pytest.approx(1.0)
    assert judged("opposite", -quality, exact).tau == pytest.approx(-1.0)
    assert judged("constant", np.zeros(64), exact).tau == 0.0
    against_noise = judged("itself", quality, noisy)
    assert reliability < against_noise.tau_half < against_noise.tau
    assert judged("itself", quality, exact).top == pytest.approx(np.sort(quality)[-6:].mean())


@pytest.mark.slow
def test_supernets_are_judged_and_tabulated(toy, tmp_path: Path, truth_of) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.test_dataloader.dataset.length = 300
    train(cfg, tmp_path)
    supernet, file = str(tmp_path / "epoch_1.pth"), tmp_path / "table.npz"
    truth = truth_of(np.random.default_rng(0).normal(size=(64, 2)))
    kinds = {"one": [supernet], "two": [supernet, supernet]}
    ranked = list(proxies(cfg, kinds, truth, bn=["batch"]))
    assert [proxy.name for proxy in ranked] == [
        "one, batch, accuracy",
        "one, batch, loss",
        "two, batch, accuracy",
        "2 x two, batch, accuracy",
        "two, batch, loss",
        "2 x two, batch, loss",
    ]
    assert ranked[1].tau == pytest.approx(ranked[4].tau) == pytest.approx(ranked[5].tau)

    table = make_table(cfg, supernet, file, test_per_class=4)
    assert table.bn == ["batch", "running"] and table.blocks == (2, 2, 2)
    loaded = ScoreTable.load(file)
    assert loaded.about == table.about
    for key, values in table.loss.items():
        assert values.shape == (64,) and np.array_equal(values, loaded.loss[key])
        assert np.array_equal(table.correct[key], loaded.correct[key])
    # In binary order, and the score of a mask alone.
    second = -100 * loaded.score(mask_of("000001"), "batch").loss
    assert second == pytest.approx(ranked[1].values[1], abs=1e-4)
    cfg.val_dataloader.dataset.length = 32
    with pytest.raises(ConfigError, match=f"{file}: .*another supernet or of other images"):
        make_table(cfg, supernet, file, test_per_class=4)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("attention", {"type": "SGE"}, "attention .*SGE"),
        ("attention", {"type": "SE", "reduction": 8}, "attention .*'reduction': 8"),
        ("attention", {"type": "SE"}, "attention .*'reduction': 16"),  # the default
        ("sharing", "block", "sharing block, found one with stage"),
    ],
    ids=str,
)
def test_truth_of_another_network_is_refused(
    toy, truth_of, key: str, value: Any, message: str
) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.model.backbone[key] = value
    with pytest.raises(ConfigError, match=f"expected a ground truth .* with {message}"):
        list(proxies(cfg, {}, truth_of(np.zeros((64, 1)))))


def test_truth_of_the_same_network_is_taken_however_it_is_written(toy, truth_of) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.model.backbone.attention = dict(type=SE, reduction=4)
    assert list(proxies(cfg, {}, truth_of(np.zeros((64, 1))))) == []
