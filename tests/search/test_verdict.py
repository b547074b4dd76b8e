"""The verdict calls a difference one only where luck would hardly make it, and says what helps."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import pytest

from ean_transfer.search.confirm import Confirmed
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.search.verdict import Verdict
from ean_transfer.supernet.scoring import ACCURACY, LOSS, Metric, Outcome
from ean_transfer.ticket import Ticket
from ean_transfer.ticket.mask import all_masks, mask_of
from tests.search.tables import toy_table

NETWORK = Ticket.full("resnet14_cifar", "SE")
MASKS = ["000000", "111111", "110000", "101000"]
MAE = Metric("mae", "objects", higher_is_better=False, worst=500.0, reward_scale=10.0, decimals=5)


def judged(
    losses: Mapping[str, float],
    *,
    noise: float = 0.1,
    images: int = 400,
    masks_scored: int = 4,
    supernets: int = 3,
    metric: Metric = ACCURACY,
    seed: int = 0,
    baselines: Mapping[str, str] = MappingProxyType({}),
    **reward: str,
) -> Verdict:
    """The verdict on masks of these mean losses; each image's loss has noise of its own.

    Masks that are baselines, by name, are no finalists.
    """
    draws = np.random.default_rng(seed)
    hardness = draws.exponential(1.0, images)  # shared by all masks, so it cancels in pairs
    outcomes = {}
    for bits, loss in losses.items():
        errors = draws.normal(0.0, noise, images)
        values = hardness + loss + errors - errors.mean()  # so that the mean is exact
        outcomes[mask_of(bits)] = Outcome(values[:, None], values.astype(np.float32), metric)
    blocks = len(next(iter(losses)))
    table = toy_table("sparsity", (1.0 / blocks,) * blocks)
    none, full = outcomes[(False,) * blocks].score, outcomes[(True,) * blocks].score
    settings = RewardSettings(**reward or {"quality": "loss"})
    rule = Reward.of(settings, {"sparsity": table}, none, full, metric)
    others = {name: mask_of(bits) for name, bits in baselines.items()}
    of_others = {mask: outcomes.pop(mask) for mask in others.values()}
    return Verdict.of(Confirmed(outcomes, rule, others, of_others), masks_scored, supernets)


def test_a_clear_winner_leaves_nothing_to_warn_about() -> None:
    verdict = judged(dict(zip(MASKS, (1.0, 0.95, 0.8, 0.9), strict=True)))
    assert verdict.warnings == () == verdict.advice and verdict.alike == 0
    ticket = verdict.masks["ticket"]
    assert ticket.mask == "110000" and verdict.masks["runner_up"].mask == "101000"
    over_none = ticket.over["none"]["loss"]
    assert over_none.value == pytest.approx(0.2, abs=1e-6)
    assert over_none.standard_error == pytest.approx(0.1 * np.sqrt(2 / 400), rel=0.1)
    assert verdict.masks["none"].over["ticket"]["loss"].value == -over_none.value
    assert [one.mask for one in verdict.finalists] == ["110000", "101000", "111111", "000000"]


def test_a_flat_landscape_is_warned_about_with_what_would_help() -> None:
    losses = dict(zip(MASKS, (1.0, 1.0003, 0.9990, 0.9995), strict=True))
    verdict = judged(losses, masks_scored=300, supernets=1)
    assert verdict.alike == 3
    assert [warning.split(":")[0] for warning in verdict.warnings] == [
        "no finalist is surely better than none",
        "the finalists, none and full differ by no more than noise",
    ]
    assert [advice.split(":")[0] for advice in verdict.advice] == [
        "images",
        "images",
        "supernets",
        "training",
    ]
    assert all(text in verdict.text for text in (*verdict.warnings, *verdict.advice))


def test_of_300_masks_the_best_is_surely_better_beyond_4_8_standard_errors() -> None:
    losses = dict(zip(MASKS, (1.0, 1.0, 0.9, 0.999), strict=True))
    error = judged(losses).masks["ticket"].over["none"]["loss"].standard_error
    for errors, sure in ((4.7, False), (4.9, True)):
        verdict = judged(losses | {"110000": 1.0 - errors * error}, masks_scored=300)
        assert verdict.luck == pytest.approx(4.8, abs=0.05)
        assert any("surely better than none" in one for one in verdict.warnings) != sure


def test_images_help_against_none_once_the_best_lies_beyond_luck() -> None:
    losses = dict(zip(MASKS, (1.0, 1.0, 0.9, 0.999), strict=True))
    error = judged(losses).masks["ticket"].over["none"]["loss"].standard_error
    verdict = judged(losses | {"110000": 1.0 - 4.0 * error}, masks_scored=300)
    needed = int(np.ceil(400 * ((verdict.luck + 0.8) / 4.0) ** 2))
    assert needed > 400  # 4 standard errors are more than 2, but fewer than luck explains
    assert f"about {needed} would tell the best finalist from none" in verdict.advice[0]


def test_the_number_of_images_that_would_help_is_named_unless_it_is_absurd() -> None:
    verdict = judged(dict(zip(MASKS, (1.0, 0.9, 0.800, 0.801), strict=True)), images=100)
    error = verdict.masks["ticket"].over["runner_up"]["loss"].standard_error
    expected = 100 * (2.8 * error / 0.001) ** 2  # more than a hundred times as many
    assert expected > 10_000 and "as good as equal" in verdict.advice[0]
    closer = judged(dict(zip(MASKS, (1.0, 0.9, 0.80, 0.81), strict=True)), images=100)
    error = closer.masks["ticket"].over["runner_up"]["loss"].standard_error
    needed = int(np.ceil(100 * (2.8 * error / closer.finalists[1].over_ticket.value) ** 2))
    assert f"about {needed} would tell the ticket from the runner-up" in closer.advice[0]


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_mask_of_an_infinite_loss_is_told_apart_and_read_again(tmp_path) -> None:
    verdict = judged(dict(zip(MASKS, (1.0, np.inf, 0.8, 0.9), strict=True)))
    assert verdict.finalists[-1].mask == "111111" and verdict.alike == 0
    read = Verdict.load(verdict.save(tmp_path / "verdict.json"))
    assert read.finalists[-1].over_ticket.value == -np.inf == -read.masks["full"].values["loss"]


def test_an_empty_ticket_is_warned_about() -> None:
    verdict = judged(dict(zip(MASKS, (0.8, 0.95, 0.9, 0.9), strict=True)))
    assert verdict.masks["ticket"].mask == "000000"
    assert any("the ticket is empty" in warning for warning in verdict.warnings)
    assert any("no finalist is surely better than none" in warning for warning in verdict.warnings)
    assert not any("none" in advice for advice in verdict.advice)  # more images would not help it


def test_the_ticket_is_shown_against_the_baselines() -> None:
    losses = dict(zip(MASKS, (1.0, 0.95, 0.8, 0.9), strict=True)) | {"000011": 0.9, "010101": 0.805}
    rules = {"last two blocks": "000011", "every other": "010101"}
    verdict = judged(losses, baselines=rules)
    assert verdict.masks["ticket"].mask == "110000" and verdict.warnings == ()
    assert len(verdict.finalists) == 4 and set(verdict.baselines) == set(rules)
    behind = verdict.baselines["last two blocks"].over["ticket"]["loss"]
    assert behind.value == pytest.approx(-0.1, abs=1e-6) and behind.standard_error < 0.02
    assert "surely better than 1 of 2 baselines" in verdict.summary
    table = verdict.table(NETWORK, ACCURACY).splitlines()
    assert [row.split(" | ")[0][2:] for row in table[2:]] == [
        *("ticket", "runner-up", "none", "full"),
        *rules,
    ]
    assert "00 00 11" in table[6] and "better than ticket by (nats)" in table[0]


def test_a_baseline_that_beats_the_ticket_is_no_ticket_and_is_warned_about() -> None:
    losses = dict(zip(MASKS, (1.0, 0.95, 0.8, 0.9), strict=True)) | {"000011": 0.7}
    verdict = judged(losses, baselines={"last two blocks": "000011"})
    assert verdict.masks["ticket"].mask == "110000"
    (warning,) = verdict.warnings
    assert "'last two blocks', 000011, beats the ticket (+0.1000 ± " in warning
    # One that the constraint rules out is no rival, however good.
    cheap = judged(
        losses | {"111100": 0.5},
        baselines={"first half": "111100"},
        quality="loss",
        constraint="connections <= 2",
    )
    assert not cheap.warnings and not cheap.baselines["first half"].feasible
    rows = cheap.table(NETWORK, ACCURACY).splitlines()
    assert rows[6].startswith("| first half (breaks the constraint) |")
    assert rows[5].startswith("| full (breaks the constraint) |")


def test_a_metric_that_falls_is_better_where_it_is_lower() -> None:
    losses = dict(zip(MASKS, (9.0, 8.0, 7.0, 7.5), strict=True))
    verdict = judged(losses, metric=MAE, quality="mae")
    assert (verdict.quality, verdict.unit) == ("mae", "objects")
    ticket = verdict.masks["ticket"]
    assert ticket.mask == "110000" and ticket.over["none"]["mae"].value == pytest.approx(2.0)
    table = verdict.table(NETWORK, MAE)
    assert "| mae (objects) | loss (nats) |" in table and "11 00 00" in table
    assert "+2.000 ± 0.00" in table


def test_one_number_per_mask_allows_no_word_about_noise(tmp_path) -> None:
    verdict = judged(dict(zip(MASKS, (1.0, 0.9, 0.8, 0.85), strict=True)), images=1, noise=0.0)
    assert verdict.masks["ticket"].over["none"]["loss"].standard_error is None
    assert len(verdict.warnings) == 1 and "one number per mask" in verdict.warnings[0]
    assert not any(advice.startswith("training") for advice in verdict.advice)
    assert Verdict.load(verdict.save(tmp_path / "verdict.json")) == verdict


@pytest.mark.parametrize("quality", ["accuracy", "loss"])
def test_is_read_as_it_was_written(tmp_path, quality: str) -> None:
    verdict = judged(dict(zip(MASKS, (1.0, 0.9, 0.8, 0.85), strict=True)), quality=quality)
    assert Verdict.load(verdict.save(tmp_path / "verdict.json")) == verdict


def test_the_best_of_many_equal_masks_is_seldom_called_better_than_none() -> None:
    searches, alarms, naive = 100, 0, 0
    masks = all_masks(5)
    for seed in range(searches):
        losses = np.random.default_rng(seed).normal(0.0, 0.1, (len(masks), 50)).astype(np.float32)
        outcomes = {
            mask: Outcome(loss[:, None], loss, LOSS)
            for mask, loss in zip(masks, losses, strict=True)
        }
        order = sorted(masks, key=lambda mask: outcomes[mask].score.loss)
        finalists = dict.fromkeys([*order[:4], masks[0], masks[-1]])
        none, full = outcomes[masks[0]].score, outcomes[masks[-1]].score
        table = toy_table("sparsity", (0.2,) * 5, blocks=(2, 3))
        rule = Reward.of(RewardSettings(quality="loss"), {"sparsity": table}, none, full, LOSS)
        final = Confirmed({mask: outcomes[mask] for mask in finalists}, rule)
        verdict = Verdict.of(final, len(masks), supernets=1)
        alarms += not any("better than none" in warning for warning in verdict.warnings)
        naive += verdict.masks["ticket"].over["none"]["loss"].exceeds(2.0)
    assert naive > 25  # two standard errors alone would take luck for more in a third of them
    assert alarms <= 5
