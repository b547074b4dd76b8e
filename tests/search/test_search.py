"""The search itself, on a network that knows nothing of OpenMMLab, under every kind of budget."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models.resnet import BasicBlock

from ean_transfer import attach, connection_importance
from ean_transfer.analysis import latency, variants
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.search.cost import measuring
from ean_transfer.search.cost.table import cost_table
from ean_transfer.search.search import Search
from ean_transfer.search.search_result import SearchResult
from ean_transfer.search.settings import SearchSettings
from ean_transfer.search.worth import worth_of_connections
from ean_transfer.supernet.evaluation import MaskEvaluator
from ean_transfer.supernet.scoring import LossScorer, Metric

BLOCKS = 4
ERROR = Metric("error", "points", higher_is_better=False, worst=100.0, scale=100.0)
LOGGER = logging.getLogger("test_search")


class Narrow(nn.Module):
    """A residual network of four stages with one block each, of 8 to 64 channels."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 8, 3, 2, padding=1)
        self.layer1 = nn.Sequential(BasicBlock(8, 8))
        for stage, channels in ((2, 8), (3, 16), (4, 32)):
            shortcut = nn.Sequential(
                nn.Conv2d(channels, 2 * channels, 1, 2), nn.BatchNorm2d(2 * channels)
            )
            block = BasicBlock(channels, 2 * channels, 2, shortcut)
            self.add_module(f"layer{stage}", nn.Sequential(block))
        self.fc = nn.Linear(64, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.layer4(self.layer3(self.layer2(self.layer1(self.conv1(x)))))
        return self.fc(x.mean(dim=(2, 3)))


def wrong(outputs: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    return (outputs.argmax(dim=1) != targets).float()


def new_evaluator() -> MaskEvaluator:
    """An attached network of four blocks and 24 images, scored by loss and error."""
    torch.manual_seed(0)
    model = attach(Narrow(), "ECA")
    images = torch.randn(24, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    loader = DataLoader(TensorDataset(images, torch.arange(24) % 4), batch_size=12)
    return MaskEvaluator(model, loader, LossScorer(F.cross_entropy, ERROR, wrong))


@pytest.fixture(scope="module")
def evaluator() -> MaskEvaluator:
    return new_evaluator()


def new_search(evaluator: MaskEvaluator, **changes: Any) -> Search:
    cfg = dict(strategy=dict(type="RandomStrategy"), reward=dict(quality="loss"), steps=4) | changes
    written = {"reward": cfg["reward"], "batch_size": 12, "held_out_sha256": None}
    settings = SearchSettings.of(cfg)
    return Search(evaluator, settings, seed=0, written=written, logger=LOGGER)


def run(search: Search) -> SearchResult:
    costs = search.settings.reward.costs
    return search.run({cost: cost_table(cost, search.evaluator.backbone) for cost in costs})


@pytest.mark.slow
def test_a_search_needs_no_openmmlab_package() -> None:
    program = f"""
import runpy, sys
for name in ("mmcv", "mmpretrain", "mmseg"):
    sys.modules[name] = None  # importing it fails
test = runpy.run_path({__file__!r})
result = test["run"](test["new_search"](test["new_evaluator"]()))
print(result.ticket.to_json())
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    ticket = json.loads(done.stdout)
    assert ticket["attention"] == "ECA" and ticket["provenance"]["searched_for"]


def test_the_best_mask_becomes_the_ticket_by_a_metric_of_ones_own(evaluator) -> None:
    exhaustive = dict(strategy=dict(type="ExhaustiveStrategy"), masks_per_step=16, steps=1)
    result = run(new_search(evaluator, **exhaustive, reward=dict(quality="error")))
    scores = result.history.scores
    assert len(scores) == 2**BLOCKS
    assert result.final.score.metric == min(score.metric for score in scores.values())
    confirmed = result.ticket.provenance["confirmed"]["".join(result.ticket.stages)]
    assert confirmed["error"] == pytest.approx(result.final.score.metric, abs=1e-4)
    assert result.pareto.quality == "error" and not result.pareto.higher_is_better
    assert result.verdict.quality == "error" and "error (points)" in result.table()


def test_the_surrogate_starts_from_taylor_importance(evaluator, tmp_path) -> None:
    surrogate = dict(strategy=dict(type="SurrogateStrategy"), reward=dict(quality="loss"))
    search = new_search(evaluator, taylor_prior=True, **surrogate)
    importance = connection_importance(evaluator.model, evaluator.held_out, F.cross_entropy)
    assert search.strategy.prior.tolist() == pytest.approx(importance, rel=1e-6)
    search.keep_in(tmp_path, resume=False)
    run(search)
    with pytest.raises(ConfigError, match=r"started with strategy_options=.*Taylor"):
        new_search(evaluator, **surrogate).keep_in(tmp_path, resume=True)
    with pytest.raises(ConfigError, match="RandomStrategy: unknown field .prior"):
        new_search(evaluator, taylor_prior=True)  # RandomStrategy


def test_a_stopped_search_does_not_continue_with_latencies_measured_in_another_way(
    evaluator, tmp_path
) -> None:
    fast = dict(reward=dict(quality="loss", constraint="latency <= 1.5 x plain"), steps=1)
    search = new_search(evaluator, **fast, latency=dict(input_shape=(1, 3, 32, 32), rounds=2))
    search.keep_in(tmp_path, resume=False)
    search.saved.save(0, search.strategy, [])
    other = dict(input_shape=(1, 3, 64, 64), rounds=2)
    with pytest.raises(ConfigError, match=r"started with latency=.*32, 32.*continue with .*64, 64"):
        new_search(evaluator, **fast, latency=other).keep_in(tmp_path, resume=True)


def test_every_strategys_search_says_what_each_connection_is_worth(evaluator) -> None:
    for name in ("Exhaustive", "Random"):
        result = run(new_search(evaluator, strategy=dict(type=f"{name}Strategy")))
        history = result.history
        masks = list(dict.fromkeys([*result.named.values(), *history.scores]))
        ends = {
            result.named["none"]: history.reward.none,
            result.named["full"]: history.reward.full,
        }
        losses = [-100.0 * (history.scores | ends)[mask].loss for mask in masks]
        expected = worth_of_connections(masks, losses)
        assert len(result.verdict.worth) == BLOCKS
        for one, other in zip(result.verdict.worth, expected, strict=True):
            assert one.value == pytest.approx(other.value, rel=0.01, abs=1e-3)
            assert one.low < one.value < one.high
        table = result.worth_table()
        assert "| stage 4, block 1 |" in table and "(hundredths of a nat)" in table
    assert result.verdict.explained_by_number is not None


def test_baselines_are_scored_on_all_images_and_cannot_become_the_ticket(evaluator) -> None:
    few = MaskEvaluator(evaluator.model, evaluator._source, evaluator.scorer, images=12)
    final = run(new_search(few, steps=1, masks_per_step=1, confirm=1)).final
    assert len(final.baselines) >= 3 and final.score.images == 24
    expected = evaluator.outcomes(list(final.baselines.values()))
    for mask in final.baselines.values():
        assert final.outcome(mask).score == expected[mask].score
    assert final.of_baselines and not final.of_baselines.keys() & final.outcomes.keys()
    assert set(final.ranked) == final.outcomes.keys()


@pytest.mark.parametrize("name", ["Random", "Evolution"])
def test_random_baselines_are_others_than_the_masks_that_a_strategy_draws(name: str) -> None:
    blocks = [BasicBlock(4, 4) for _ in range(10)]
    head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = attach(nn.Sequential(nn.Conv2d(3, 4, 3, 2), *blocks, head), "ECA")
    loader = [(torch.randn(4, 3, 9, 9), torch.arange(4))]
    evaluator = MaskEvaluator(model, loader, LossScorer(F.cross_entropy))
    reward = dict(quality="loss", constraint="connections = 5")
    strategy = dict(type=f"{name}Strategy")
    result = run(new_search(evaluator, strategy=strategy, reward=reward, steps=1))
    baselines = result.final.baselines.items()
    drawn = {mask for name, mask in baselines if name.startswith("random")}
    assert len(drawn) == 3 == len(result.history.scores)
    assert not drawn & result.history.scores.keys()


def test_a_search_can_be_drawn_and_kept_and_resumed(evaluator, tmp_path: Path) -> None:
    whole = run(new_search(evaluator))
    stopped = new_search(evaluator, steps=2)
    stopped.keep_in(tmp_path, resume=False)
    run(stopped)
    resumed = new_search(evaluator)
    resumed.keep_in(tmp_path, resume=True)
    result = run(resumed)
    assert result.history.trace == whole.history.trace
    assert result.ticket.to_json() == whole.ticket.to_json()
    assert result.figure(tmp_path / "search.png").stat().st_size > 10_000


@pytest.mark.parametrize(
    ("size", "answer"), [(5.0, "no: leave attention out"), (1e-9, "cannot be told yet")]
)
def test_a_search_says_at_its_start_whether_there_is_anything_to_find(
    evaluator, caplog: pytest.LogCaptureFixture, size: float, answer: str
) -> None:
    with caplog.at_level(logging.INFO):
        run(new_search(evaluator, steps=1, worthwhile=size))
    (line,) = (text for text in caplog.messages if "anything to find" in text)
    assert caplog.messages.index(line) == 0 and answer in line


# -- budgets -------------------------------------------------------------------------------------

STRATEGIES = ["Random", "Surrogate", "Evolution", "Greedy", "Exhaustive", "Heuristic", "Reinforce"]


@pytest.mark.parametrize("name", STRATEGIES)
@pytest.mark.parametrize(
    ("budget", "allowed"), [("connections = 2", {2}), ("connections <= 0.25 x full", {0, 1})]
)
def test_no_strategy_scores_a_mask_with_another_number_of_connections(
    evaluator, name: str, budget: str, allowed: set[int]
) -> None:
    reward = dict(quality="loss", constraint=budget)
    result = run(new_search(evaluator, strategy=dict(type=f"{name}Strategy"), reward=reward))
    assert {line.mask.count("1") for line in result.history.trace} <= allowed
    assert result.ticket.connected in allowed and result.final.feasible


@pytest.mark.parametrize("name", STRATEGIES)
def test_every_strategy_keeps_a_budget_of_parameters(evaluator, name: str) -> None:
    table = cost_table("params", evaluator.backbone)
    most = 0.25 * table.full  # one of the four connections
    reward = dict(quality="loss", constraint=f"params <= {most}")
    result = run(new_search(evaluator, strategy=dict(type=f"{name}Strategy"), reward=reward))
    scores = result.history.scores

    def loss(mask: tuple[bool, ...]) -> float:
        return scores[mask].loss

    assert table.of(min(scores, key=loss)) > most  # so the budget decides
    assert result.final.chosen == min((m for m in scores if table.of(m) <= most), key=loss)
    assert result.final.feasible
    assert result.pareto.none.costs == {"params": 0.0}


@pytest.mark.parametrize(
    "budget", ["connections = 5", "connections = 0.3 x full", "params <= -1", "sparsity >= 2"]
)
def test_a_budget_that_no_mask_keeps_is_refused_before_anything_is_scored(
    evaluator, monkeypatch: pytest.MonkeyPatch, budget: str
) -> None:
    monkeypatch.setattr(MaskEvaluator, "outcomes", None)  # a call would fail
    with pytest.raises(ConfigError, match=f"no mask satisfies {budget[:8]}"):
        run(new_search(evaluator, reward=dict(quality="loss", constraint=budget)))


@pytest.mark.parametrize(
    ("budget", "ms", "per_connection", "allowed", "kept"),
    [
        ("latency <= 1.35 x plain", 10.0, 0.1, 3, True),  # as the table says
        ("latency <= 1.35 x plain", 10.0, 0.2, 1, True),  # the best by the table are over it
        ("latency_compiled <= 1.35 x plain", 10.0, 0.2, 1, True),
        ("latency <= 13.5 ms", 30.0, 0.1, 3, False),  # nothing keeps it: a warning
    ],
)
def test_the_ticket_is_the_best_that_keeps_its_budget_when_it_is_timed(
    evaluator,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    budget: str,
    ms: float,
    per_connection: float,
    allowed: int,
    kept: bool,
) -> None:
    """By the table the network takes 10 ms, and a connection a tenth of that."""

    def clock(ms: float, share: float) -> Callable[..., float]:
        return lambda variant, *_: ms * (1 + share * sum(find_backbone(variant).mask))

    monkeypatch.setattr(variants, "compiled_alone", lambda variant, _: variant)
    monkeypatch.setattr(measuring, "forward_ms", clock(10.0, 0.1))
    monkeypatch.setattr(latency, "forward_ms", clock(ms, per_connection))
    options = dict(input_shape=(2, 3, 32, 32), rounds=4, method="toggle")
    cost = budget.split()[0]
    tables = {cost: cost_table(cost, evaluator.backbone, **options)}
    exhaustive = dict(strategy=dict(type="ExhaustiveStrategy"), masks_per_step=16, steps=1)
    search = new_search(evaluator, **exhaustive, reward=dict(quality="loss", constraint=budget))
    with caplog.at_level(logging.INFO):
        result = search.run(tables)
    measured = result.ticket.provenance["measured_again"]
    by_table = max(
        (mask for mask in result.final.outcomes if sum(mask) <= 3),
        key=lambda mask: -result.final.outcome(mask).score.loss,
    )
    over = [by_table] if allowed < sum(by_table) else []
    assert sum(by_table) == 2 and [*result.final.over_budget][:1] == over
    assert all(sum(mask) > allowed for mask in result.final.over_budget)
    assert result.ticket.connected <= allowed and result.final.feasible
    assert (result.final.chosen == by_table) is (not over)
    assert measured["kept"] is result.final.budget.kept is kept and measured["rounds"] == 4
    (record,) = (r for r in caplog.records if "measured again" in r.message)
    assert (record.levelno == logging.WARNING) is not kept


def test_another_tasks_metric_is_refused_by_name(evaluator) -> None:
    with pytest.raises(ConfigError, match="'error' or 'loss', found 'miou'"):
        new_search(evaluator, reward=dict(quality="miou"))


def test_a_supernet_that_overflows_is_refused(evaluator) -> None:
    broken = MaskEvaluator(
        evaluator.model, [torch.full((2, 3, 32, 32), torch.inf)], Overflowing(F.cross_entropy)
    )
    with pytest.raises(CheckpointError, match=r"finite scores .* losses inf \(none\)"):
        run(new_search(broken))


class Overflowing(LossScorer):
    """Every loss is infinite, and the metric is not."""

    metric = ERROR

    def rows(self, model: nn.Module, batch: Any) -> tuple[torch.Tensor, torch.Tensor]:
        return torch.ones(2), torch.full((2,), torch.inf)
