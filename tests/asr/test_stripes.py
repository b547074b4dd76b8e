"""Stripes over the training, and their pictures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from ean_transfer.asr import attention_values, stripe_scores
from ean_transfer.asr.figure import draw_stripe_scores, draw_stripes
from ean_transfer.engine.hooks.stripes import STRIPES, StripeHook
from ean_transfer.engine.training import train
from ean_transfer.errors import ConfigError, DataError


@pytest.mark.parametrize(
    ("options", "iterations"),
    [({}, [0, 4, 8]), ({"interval": 3, "by_epoch": False}, [0, 3, 6]), ({"interval": 2}, [0, 8])],
)
def test_scores_are_kept_while_training(
    toy, tmp_path: Path, options: dict, iterations: list[int]
) -> None:
    cfg = toy("classification/toy")  # 4 iterations an epoch
    cfg.train_cfg.max_epochs = 2
    cfg.model.backbone.update(ticket="full", zero_init_residual=False)
    cfg.custom_hooks = [dict(type=StripeHook, images=20, **options)]
    runner = train(cfg, tmp_path)
    rows = json.loads((tmp_path / STRIPES).read_text())
    assert [row["iteration"] for row in rows] == iterations
    assert all(list(row["scores"]) == list("012345") for row in rows)
    assert rows[0]["scores"] != rows[-1]["scores"]
    if iterations[-1] == 8:  # the last score is the trained network's
        batches = []
        for batch in runner.val_loop.dataloader:
            batches.append(batch)
            if sum(len(b["inputs"]) for b in batches) >= 20:
                break
        expected = stripe_scores(attention_values(runner.model, batches))
        assert list(rows[-1]["scores"].values()) == pytest.approx(list(expected.values()))


def test_a_score_is_the_deviation_over_images_to_the_mean_over_channels() -> None:
    values = torch.tensor([[1.0, 2.0], [3.0, 2.0]])  # (images, channels)
    assert stripe_scores({0: values}) == {0: pytest.approx(2**0.5 / 4)}


@pytest.mark.slow
def test_going_on_keeps_what_was_scored_before(toy, tmp_path: Path) -> None:
    def run(epochs: int, resume: bool) -> list[int]:
        cfg = toy("classification/toy")
        cfg.train_cfg.max_epochs = epochs
        cfg.model.backbone.update(ticket="full")
        cfg.custom_hooks = [dict(type=StripeHook, images=16)]
        train(cfg, tmp_path, resume=resume)
        return [row["iteration"] for row in json.loads((tmp_path / STRIPES).read_text())]

    assert run(1, resume=False) == [0, 4]
    assert run(2, resume=True) == [0, 4, 8]
    assert run(1, resume=False) == [0, 4]  # a fresh start forgets


def test_a_supernet_is_scored_whole(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy_supernet")
    cfg.custom_hooks = [*cfg.custom_hooks, dict(type=StripeHook, interval=1, by_epoch=False)]
    runner = train(cfg, tmp_path)
    rows = json.loads((tmp_path / STRIPES).read_text())
    assert len(rows) > 3 and all(list(row["scores"]) == list("012345") for row in rows)
    assert runner.model.backbone.ticket.connected == 6


def test_a_network_without_attention_is_trained_all_the_same(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    cfg.model.backbone.ticket = "none"
    cfg.custom_hooks = [dict(type=StripeHook)]
    train(cfg, tmp_path)
    assert not (tmp_path / STRIPES).exists()


def test_says_what_is_wrong(toy, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="StripeHook: images"):
        StripeHook(images=1)
    cfg = toy("classification/toy")
    cfg.model.backbone.update(ticket="full", attention=dict(type="SGE", groups=4, _delete_=True))
    cfg.model.backbone["attention"] = dict(type="SGE", groups=4)
    cfg.custom_hooks = [dict(type=StripeHook)]
    with pytest.raises(ConfigError, match="one weight per channel, found SGE"):
        train(cfg, tmp_path)


NAMES = ["1.1", "1.2", "2.1", "2.2"]


def test_figures(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(0)
    values = {0: torch.rand(9, 4, generator=generator), 3: torch.rand(9, 8, generator=generator)}
    wide, high = Image.open(draw_stripes(values, NAMES, tmp_path / "a.png")).size
    alone = Image.open(draw_stripes({0: values[0]}, NAMES, tmp_path / "b.png")).size
    assert wide > alone[0] and high > alone[1]  # a column for 2.2, a row for its stage
    history = tmp_path / STRIPES
    rows = [{"iteration": i, "scores": {"0": 1.0 / (i + 1), "3": 0.2}} for i in range(3)]
    history.write_text(json.dumps(rows))
    assert Image.open(draw_stripe_scores(history, NAMES, tmp_path / "c.png")).size[0] > 300


@pytest.mark.parametrize("text", ["{", "[]", "[{}]", '[{"iteration": 0, "scores": {"9": 1}}]'])
def test_a_history_of_something_else_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / STRIPES).write_text(text)
    with pytest.raises(DataError, match="stripes.json: expected the scores that StripeHook wrote"):
        draw_stripe_scores(tmp_path / STRIPES, NAMES, tmp_path / "x.png")
    with pytest.raises(DataError, match="gone.json: .*StripeHook.*No such file"):
        draw_stripe_scores(tmp_path / "gone.json", NAMES, tmp_path / "x.png")
