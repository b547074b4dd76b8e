"""How scores of masks agree with the ground truth."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.proxy import from_scored_masks, judged, proxies, split_half, without_a_network
from benchmarks.tables import ScoreTable, make_table
from ean_transfer.attention import SE
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.mask import all_masks, mask_of


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


def test_what_is_said_of_masks_without_a_network() -> None:
    rules = without_a_network([mask_of(bits) for bits in ("000", "100", "001", "111")])
    assert rules["number of connections"].tolist() == [0, 1, 1, 3]
    assert rules["later is better"].tolist() == [0, -1, 1, 0]


def test_what_scored_masks_say_of_others() -> None:
    """Rewards that are a sum over the connections are predicted from a part of the masks."""
    masks = all_masks(6)
    worths = np.array([0.5, -0.3, 0.2, 0.0, 0.4, -0.1])
    rewards = np.array(masks, dtype=float) @ worths
    told = np.random.default_rng(0).permutation(64)[:32]
    said = from_scored_masks(masks, [masks[index] for index in told], rewards[told])
    assert list(said) == ["pairwise model of 32 masks", "Shapley values of 32 masks, summed"]
    pairwise, shapley = said.values()
    assert np.corrcoef(pairwise, rewards)[0, 1] > 0.999  # in a unit of its own
    np.testing.assert_allclose(shapley, rewards, atol=0.02)


@pytest.mark.slow
def test_supernets_are_judged_and_tabulated(toy, tmp_path: Path, truth_of) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.test_dataloader.dataset.length = 300
    train(cfg, tmp_path)
    supernet, file = str(tmp_path / "epoch_1.pth"), tmp_path / "table.npz"
    truth = truth_of(np.random.default_rng(0).normal(size=(64, 2)))
    kinds = {"one": [supernet], "two": [supernet, supernet]}
    ranked = {proxy.name: proxy for proxy in proxies(cfg, kinds, truth, bn=["batch"])}
    kinds_of_score = [
        "accuracy",
        "loss",
        "pairwise model of 64 masks",
        "Shapley values of 64 masks, summed",
        "Taylor importance, summed",
    ]
    assert list(ranked) == [
        "number of connections",
        "later is better",
        *(f"one, batch, {score}" for score in kinds_of_score),
        *(f"{two}, batch, {score}" for score in kinds_of_score for two in ("two", "2 x two")),
    ]
    loss = ranked["one, batch, loss"]
    same = ranked["two, batch, loss"], ranked["2 x two, batch, loss"]
    assert loss.tau == pytest.approx(same[0].tau) == pytest.approx(same[1].tau)

    table = make_table(cfg, supernet, file, test_per_class=4)
    assert table.bn == ["batch", "running"] and table.blocks == (2, 2, 2)
    loaded = ScoreTable.load(file)
    assert loaded.about == table.about
    for key, values in table.loss.items():
        assert values.shape == (64,) and np.array_equal(values, loaded.loss[key])
        assert np.array_equal(table.correct[key], loaded.correct[key])
    # In binary order, and the score of a mask alone.
    second = -loaded.score(mask_of("000001"), "batch").loss
    assert second == pytest.approx(loss.values[1], abs=1e-6)
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
    taken = proxies(cfg, {}, truth_of(np.zeros((64, 1))))
    assert [proxy.name for proxy in taken] == ["number of connections", "later is better"]
