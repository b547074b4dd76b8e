"""What the search is measured against, and the measuring."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from mmcv.transforms import BaseTransform
from mmengine.registry import MODELS, TRANSFORMS
from mmengine.runner import Runner

from benchmarks import ground_truth
from benchmarks.ground_truth import GroundTruth, all_masks, spread_masks
from benchmarks.proxy import fine_tuned_scores, judged, proxies, split_half
from benchmarks.strategies import (
    CONTESTANTS,
    contest,
    contest_rows,
    draw_contests,
    table_rewards,
)
from benchmarks.tables import ScoreTable, make_table, shipped_tables
from ean_transfer.attention import SE
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError, DataError
from ean_transfer.ticket.mask import mask_of
from tests.helpers import ROOT


@pytest.fixture
def table() -> ScoreTable:
    """512 masks whose accuracy is 70 + one point a connection of the first stage."""
    masks = np.array(all_masks(9))
    correct = (70.0 + masks[:, :3].sum(axis=1)) * 20
    about = {
        "blocks": [3, 3, 3],
        "backbone": "resnet20_cifar",
        "attention": "SE",
        "attention_options": {},
        "sharing": "stage",
        "images": {"held_out": 2000, "test": 2000},
    }
    parts = [("batch", "held_out"), ("batch", "test")]
    return ScoreTable(
        about,
        {part: correct.astype(np.int32) for part in parts},
        {part: (2.0 - correct / 2000).astype(np.float32) for part in parts},
    )


def truth_of(values: np.ndarray) -> GroundTruth:
    """values: (masks, seeds)."""
    names = ["".join("01"[bit] for bit in mask) for mask in all_masks(6)]
    accuracy = {
        bits: dict(enumerate(map(float, row))) for bits, row in zip(names, values, strict=True)
    }
    network = {
        "config": "toy.py",
        "depth": 14,
        "base_channels": 8,
        "attention": {"type": "SE", "reduction": 4},
        "sharing": "stage",
    }
    return GroundTruth(network, accuracy)


# -- ground truth --------------------------------------------------------------------------------


def test_masks_are_all_or_spread_over_the_numbers_of_connections() -> None:
    assert len(set(all_masks(6))) == 64
    masks = spread_masks(9, 24)
    assert len(set(masks)) == 24 and masks == spread_masks(9, 24)
    assert {0, 9} <= {sum(mask) for mask in masks} and len({sum(mask) for mask in masks}) >= 6
    with pytest.raises(ConfigError, match="6 blocks have 2 to 64 masks, found 65"):
        spread_masks(6, 65)


def test_trains_masks_once_and_keeps_what_is_done(toy, tmp_path: Path, monkeypatch) -> None:
    cfg = toy("classification/toy")
    masks = [mask_of("000000"), mask_of("101100")]
    found = ground_truth.train_from_scratch(cfg, masks, [0, 1], tmp_path)
    assert found.masks == ["000000", "101100"] and found.seeds == [0, 1]
    assert found.network["attention"]["type"] == "SE"

    def never(*args) -> float:
        raise AssertionError("trained again")

    monkeypatch.setattr(ground_truth, "_accuracy", never)
    assert ground_truth.train_from_scratch(cfg, masks, [0, 1], tmp_path) == found
    cfg.optim_wrapper.optimizer.lr = 0.01
    with pytest.raises(ConfigError, match="its results are of another config"):
        ground_truth.train_from_scratch(cfg, masks, [0, 1], tmp_path)
    found.save(tmp_path / "truth.json")
    assert GroundTruth.load(tmp_path / "truth.json").masks == found.masks
    (tmp_path / "truth.json").write_text("[]")
    with pytest.raises(DataError, match="truth.json: not a ground truth"):
        GroundTruth.load(tmp_path / "truth.json")


@pytest.mark.parametrize(
    ("config", "changes", "found"),
    [
        ("segmentation/toy", {}, "IoUMetric"),
        ("classification/toy", {"test_evaluator.topk": (5,)}, "Accuracy"),
        ("classification/toy", {"test_evaluator": None}, "none"),
    ],
    ids=str,
)
def test_truth_without_top1_accuracy_is_refused_before_training(
    toy, tmp_path: Path, config: str, changes: dict, found: str
) -> None:
    cfg = toy(config, **changes)
    with pytest.raises(ConfigError, match=f"Accuracy with 1 in its topk, found .*{found}"):
        ground_truth.train_from_scratch(cfg, [mask_of("111111")], [0], tmp_path / "truth")
    assert not (tmp_path / "truth").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("folding", "--rounds", "1"), "expected --rounds >= 2, found 1"),
        (("folding", "--image-size", "0"), "expected --image-size >= 1, found 0"),
        (("folding", "--batch-size", "0"), "expected --batch-size >= 1, found 0"),
        (
            ("cost", "--backbone", "resnet20_cifar", "--attention", "SE", "--image-size", "0"),
            "expected --image-size >= 1, found 0",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(run_tool, arguments: tuple, message: str) -> None:
    found = run_tool("benchmark", *arguments)
    assert found.code == 2 and found.err == f"error: {message}\n"


def test_reliability_and_agreement() -> None:
    rng = np.random.default_rng(0)
    quality = rng.normal(size=64)
    exact = truth_of(np.stack([quality] * 4, axis=1))
    noisy = truth_of(quality[:, None] + rng.normal(size=(64, 4)))
    assert split_half(exact) == pytest.approx(1.0)
    assert 0.2 < split_half(noisy) < 0.8
    assert judged("itself", quality, exact).tau == pytest.approx(1.0)
    assert judged("opposite", -quality, exact).tau == pytest.approx(-1.0)
    assert judged("constant", np.zeros(64), exact).tau == 0.0
    against_noise = judged("itself", quality, noisy)
    assert split_half(noisy) < against_noise.tau_half < against_noise.tau
    assert judged("itself", quality, exact).top == pytest.approx(np.sort(quality)[-6:].mean())


# -- proxies and tables --------------------------------------------------------------------------


def test_supernets_are_judged_and_tabulated(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.test_dataloader.dataset.length = 300
    train(cfg, tmp_path)
    supernet = str(tmp_path / "epoch_1.pth")
    truth = truth_of(np.random.default_rng(0).normal(size=(64, 2)))
    found = list(
        proxies(cfg, {"one": [supernet], "two": [supernet, supernet]}, truth, bn=["batch"])
    )
    assert [p.name for p in found] == [
        "one, batch, accuracy",
        "one, batch, loss",
        "two, batch, accuracy",
        "2 x two, batch, accuracy",
        "two, batch, loss",
        "2 x two, batch, loss",
    ]
    assert found[1].tau == pytest.approx(found[4].tau) == pytest.approx(found[5].tau)

    table = make_table(cfg, supernet, tmp_path / "table.npz", test_per_class=4)
    assert table.bn == ["batch", "running"] and table.blocks == (2, 2, 2)
    loaded = ScoreTable.load(tmp_path / "table.npz")
    assert loaded.about == table.about
    for key, values in table.loss.items():
        assert values.shape == (64,) and np.array_equal(values, loaded.loss[key])
        assert np.array_equal(table.correct[key], loaded.correct[key])
    # In binary order, and the score of a mask alone.
    assert -100 * loaded.score(mask_of("000001"), "batch").loss == pytest.approx(
        found[1].values[1], abs=1e-4
    )
    cfg.val_dataloader.dataset.length = 32
    with pytest.raises(ConfigError, match="another supernet or other images"):
        make_table(cfg, supernet, tmp_path / "table.npz", test_per_class=4)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"type": "SGE"}, "attention"),
        ({"type": "SE", "reduction": 8}, "attention .*'reduction': 8"),
        ({"type": "SE"}, "attention"),  # whose reduction is 16 by default
    ],
)
def test_truth_of_another_attention_is_refused(toy, change: dict, message: str) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.model.backbone.attention = change
    with pytest.raises(ConfigError, match=f"expected a ground truth .* with {message}"):
        list(proxies(cfg, {}, truth_of(np.zeros((64, 1)))))


def test_truth_of_the_same_network_is_taken_however_it_is_written(toy) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.model.backbone.attention = dict(type=SE, reduction=4)
    assert list(proxies(cfg, {}, truth_of(np.zeros((64, 1))))) == []
    cfg.model.backbone.sharing = "block"
    with pytest.raises(ConfigError, match="with sharing block, found one with stage"):
        list(proxies(cfg, {}, truth_of(np.zeros((64, 1)))))


def test_supernets_of_one_name_are_refused(run_tool, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    truth_of(np.zeros((64, 1))).save(truth)
    config = ROOT / "configs/classification/toy_supernet.py"
    twice = ("--supernet", "p=0.8", "a.pth", "--supernet", "p=0.8", "b.pth")
    found = run_tool("benchmark", "proxy", config, "--truth", truth, *twice)
    assert found.code == 2 and "expected each name once, found p=0.8, p=0.8" in found.err


@TRANSFORMS.register_module()
class Noise(BaseTransform):
    """An augmentation that draws from NumPy's global generator, as mmcv's do."""

    def transform(self, results: dict) -> dict:
        noise = np.random.randint(0, 99, results["img"].shape, dtype=np.uint8)
        return results | {"img": results["img"] // 2 + noise}


def test_fine_tuning_draws_the_same_images_whatever_was_drawn_before(toy) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.train_dataloader.dataset.pipeline = [
        dict(type="Noise"),
        *cfg.test_dataloader.dataset.pipeline,
    ]
    model = MODELS.build(cfg.model)
    losses = []
    for draws in (0, 5):
        np.random.seed(draws)
        loaders = [
            Runner.build_dataloader(cfg[f"{p}_dataloader"], seed=0) for p in ("train", "val")
        ]
        losses.append(fine_tuned_scores(model, *loaders, [mask_of("111111")], 2)[0].loss)
    assert losses[0] == losses[1]


def test_fine_tuning_changes_scores_and_leaves_the_supernet(toy) -> None:
    cfg = toy("classification/toy_supernet")
    model = MODELS.build(cfg.model)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    loaders = [Runner.build_dataloader(cfg[f"{p}_dataloader"], seed=0) for p in ("train", "val")]
    masks = [mask_of("000000"), mask_of("111111")]
    few = fine_tuned_scores(model, *loaders, masks, 1)
    more = fine_tuned_scores(model, *loaders, masks, 3)
    assert all(a.loss != b.loss for a, b in zip(few, more, strict=True))
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())


def test_a_file_that_is_no_table_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "other.npz", x=np.zeros(3))
    with pytest.raises(DataError, match="other.npz: not a table of scores"):
        ScoreTable.load(tmp_path / "other.npz")
    np.save(tmp_path / "plain.npy", np.zeros(3))
    with pytest.raises(DataError, match="plain.npy: not a table"):
        ScoreTable.load(tmp_path / "plain.npy")
    np.save(tmp_path / "code.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match="not a table"):
        ScoreTable.load(tmp_path / "code.npy")


def test_the_shipped_tables_are_whole() -> None:
    tables = {name: ScoreTable.load(file) for name, file in shipped_tables().items()}
    assert {table.about["attention"] for table in tables.values()} == {"SE", "SGE", "DIA"}
    for table in tables.values():
        assert table.blocks == (3, 3, 3) and {"batch", "running"} <= set(table.bn)
        for bn in table.bn:
            for part in ("held_out", "test"):
                accuracy = table.accuracy(bn, part)
                assert accuracy.shape == (512,) and 10.0 <= accuracy.min() < accuracy.max() < 100.0


# -- strategies ----------------------------------------------------------------------------------


def test_rewards_of_a_table(table: ScoreTable) -> None:
    papers = table_rewards(table, "batch", dict(quality="accuracy", cost="sparsity", weight=2.0))
    assert papers["111000000"] == pytest.approx(73.0 + 2.0 * 6 / 9)
    assert max(papers, key=papers.__getitem__) == "111000000"
    cheapest = table_rewards(table, "batch", dict(minimize="sparsity", constraint="loss <= full"))
    assert max(cheapest, key=cheapest.__getitem__) == "111000000"


@pytest.mark.parametrize("name", CONTESTANTS)
def test_every_strategy_is_measured_by_what_it_has_found(table: ScoreTable, name: str) -> None:
    reward = dict(quality="accuracy", cost="sparsity", weight=0.5)
    seeds = 1 if name == "reinforce" else 3
    found = contest(name, table, "batch", reward, table_name="made up", seeds=seeds, budget=70)
    assert found.regret.shape == (seeds, 70)
    assert (np.diff(found.regret, axis=1) <= 0).all() and (found.regret >= 0).all()
    lower, median, upper = found.quartiles(64)
    assert lower <= median <= upper
    if name in ("surrogate", "greedy_backward"):
        assert found.regret[:, 63].max() == 0.0


def test_the_comparison_is_printed_and_drawn(table: ScoreTable, tmp_path: Path) -> None:
    reward = dict(quality="accuracy", cost="sparsity", weight=0.5)
    found = [
        contest(n, table, "batch", reward, seeds=2, budget=128)
        for n in ("random", "greedy_backward")
    ]
    rows = contest_rows(found)
    assert rows[0][0] == "strategy" and [row[0] for row in rows[1:]] == [
        "random",
        "greedy_backward",
    ]
    draw_contests(found, tmp_path / "regret.png")
    assert (tmp_path / "regret.png").stat().st_size > 5_000


def test_the_command_writes_the_comparison(table: ScoreTable, tmp_path: Path) -> None:
    from benchmarks import commands

    table.save(tmp_path / "made_up.npz")
    commands.search(
        tables=[str(tmp_path / "made_up.npz")],
        strategies=["random", "surrogate"],
        seeds=2,
        budget=64,
        json=str(tmp_path / "out.json"),
        figure=str(tmp_path / "out.png"),
    )
    data = json.loads((tmp_path / "out.json").read_text())
    assert len(data["contests"]) == 2 * 2  # cases with batch statistics, and strategies
    with pytest.raises(ConfigError, match="no strategy luck"):
        commands.search(
            tables=None, strategies=["luck"], seeds=1, budget=64, json=None, figure=None
        )
