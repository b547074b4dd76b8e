"""The three rules each propose the mask they name, and of equal masks the sparser is chosen."""

from __future__ import annotations

import numpy as np

from ean_transfer.search.confirm import Confirmed, masks_of_rules
from ean_transfer.search.reward import Reward
from ean_transfer.search.reward_settings import RewardSettings
from ean_transfer.search.trace import TraceLine
from ean_transfer.supernet.scoring import ACCURACY, Outcome
from ean_transfer.ticket.mask import bits_of, mask_of
from tests.search.tables import toy_table


def line(step: int, mask: str, reward: float) -> TraceLine:
    return TraceLine(step, mask, {"accuracy": reward, "loss": 0.0}, 0.5, reward, False, None)


def test_the_three_rules() -> None:
    trace = [line(0, "100", 9.0), line(1, "010", 5.0), line(2, "001", 4.0), line(2, "010", 5.0)]
    assert masks_of_rules(trace, (True, False, True), last_steps=2) == {
        "best_sampled": (True, False, False),
        "most_frequent": (False, True, False),
        "policy_argmax": (True, False, True),
    }
    assert "policy_argmax" not in masks_of_rules(trace, None, last_steps=2)


def test_of_masks_with_equal_rewards_the_sparser_becomes_the_ticket() -> None:
    def outcome(loss: float) -> Outcome:
        return Outcome(np.ones((4, 1)), np.full(4, loss, np.float32), ACCURACY)

    losses = {"1111": 1.0, "1100": 0.8, "0010": 0.8, "0110": 0.8, "0000": 1.0}
    outcomes = {mask_of(bits): outcome(loss) for bits, loss in losses.items()}
    ends = (outcomes[mask_of(bits)].score for bits in ("0000", "1111"))
    tables = {"sparsity": toy_table("sparsity", (0.25,) * 4)}
    settings = RewardSettings(quality="loss", cost="sparsity", weight=0.0)
    rule = Reward.of(settings, tables, *ends, ACCURACY)
    final = Confirmed(outcomes, rule)
    assert bits_of(final.chosen) == "0010"
    assert [sum(mask) for mask in final.ranked] == [1, 2, 2, 0, 4]
