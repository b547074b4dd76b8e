"""A whole search on the toy world: what it writes, that it repeats, and that it resumes."""

from __future__ import annotations

import json
import logging
import shutil
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from mmengine.config import Config
from mmengine.runner import Runner
from mmpretrain.models import ResNet_CIFAR

from ean_transfer.engine.recipe import set_tensorboard
from ean_transfer.errors import CheckpointError, ConfigError, EANError
from ean_transfer.io.checkpoint import read_checkpoint
from ean_transfer.io.hashes import weights_hash
from ean_transfer.search import ReinforceStrategy, read_trace
from ean_transfer.search.pareto import Pareto
from ean_transfer.search.resume import SavedSearch
from ean_transfer.search.run import run_search
from ean_transfer.search.search_result import SearchResult
from ean_transfer.search.verdict import Verdict
from ean_transfer.ticket import Ticket

STEPS = 6
REPLACE = {"_delete_": True}  # to mmengine: instead of what the config has
FAST = dict(quality="accuracy", constraint="latency <= 1.5 x plain")


def without_date(ticket: Ticket) -> dict:
    """A ticket without what may differ between two equal searches."""
    data = json.loads(ticket.to_json())
    del data["provenance"]["date"]
    return data


def hash_of(checkpoint: Path) -> str:
    return weights_hash(read_checkpoint(checkpoint)["state_dict"])


@pytest.fixture(scope="module")
def default(toy, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the default search, which trained two supernets. To be read only."""
    folder = tmp_path_factory.mktemp("default")
    changes = {"search.steps": STEPS, "search.supernets": 2}
    run_search(toy("classification/toy_search", **changes), folder)
    return folder


@pytest.fixture(scope="module")
def supernet(default: Path) -> Path:
    return default / "supernet/epoch_1.pth"


@pytest.fixture(scope="module")
def searched(toy, supernet: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the papers' search. To be read only."""
    folder = tmp_path_factory.mktemp("searched")
    ticket = search(toy, supernet, folder)
    assert Ticket.load(folder / "ticket.json") == ticket
    return folder


@pytest.fixture(autouse=True)
def _undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draws no figures but those of the fixtures above: one takes as long as the search."""
    monkeypatch.setattr(SearchResult, "figure", lambda self, file: Path(file).touch())


def papers_search(toy, **changes: Any) -> Config:
    """The papers' policy and reward, a few steps."""
    cfg = toy("classification/toy_search", **{"search.steps": STEPS} | changes)
    cfg.search.strategy = dict(type=ReinforceStrategy)
    cfg.search.reward = dict(quality="accuracy", cost="sparsity", weight=0.5)
    return cfg


def search(toy, supernet: Path, folder: Path, **kwargs) -> Ticket:
    return run_search(papers_search(toy), folder, supernet=supernet, **kwargs)


def test_the_default_search_trains_supernets_and_asks_a_surrogate_about_their_loss(
    default: Path,
) -> None:
    ticket = Ticket.load(default / "ticket.json")
    trace = read_trace(default / "trace.jsonl")
    assert len({line.mask for line in trace}) == 3 * STEPS  # nothing is scored twice
    for line in trace:
        assert line.reward == pytest.approx(-100 * line.values["loss"] + 0.5 * line.sparsity)
    assert ticket.provenance["settings"]["strategy"] == "SurrogateStrategy"
    files = [default / name / "epoch_1.pth" for name in ("supernet", "supernet_1")]
    assert ticket.provenance["settings"]["supernet_sha256"] == [hash_of(file) for file in files]
    assert ticket.num_blocks == 6


def test_a_network_that_was_not_trained_with_masks_is_warned_about(
    toy, supernet: Path, tmp_path: Path
) -> None:
    checkpoint = torch.load(supernet, weights_only=True)
    assert checkpoint["meta"]["masks"] == {"probability": 0.8, "seed": 0}
    del checkpoint["meta"]["masks"]
    torch.save(checkpoint, tmp_path / "plain.pth")
    cfg = papers_search(toy, **{"search.steps": 1})
    run_search(cfg, tmp_path / "search", supernet=[supernet, tmp_path / "plain.pth"])
    (log,) = (tmp_path / "search").glob("*/*.log")
    lines = [line for line in log.read_text().splitlines() if "trained with masks" in line]
    assert len(lines) == 1 and "WARNING" in lines[0] and "plain.pth" in lines[0]


@pytest.mark.slow
def test_branches_that_start_at_zero_are_warned_about(toy, supernet: Path, tmp_path: Path) -> None:
    checkpoint = read_checkpoint(supernet)
    checkpoint["state_dict"]["backbone.layer1.0.bn2.weight"].fill_(0.01)
    torch.save(checkpoint, tmp_path / "silent.pth")
    cfg = papers_search(toy, **{"search.steps": 1})
    run_search(cfg, tmp_path / "given", supernet=tmp_path / "silent.pth")
    (log,) = (tmp_path / "given").glob("*/*.log")
    assert "WARNING - 1 of 6 blocks have a branch that adds next to nothing" in log.read_text()
    cfg.model.backbone.zero_init_residual = True
    run_search(cfg, tmp_path / "trained")
    (log,) = (tmp_path / "trained/supernet").glob("*/*.log")
    assert "zero_init_residual is True" in log.read_text()


def test_what_the_supernets_started_from_is_not_loaded_over_them(
    toy, supernet: Path, tmp_path: Path
) -> None:
    start = torch.load(supernet, weights_only=True)
    for weights in start["state_dict"].values():
        weights.zero_()
    torch.save(start, tmp_path / "start.pth")
    for name, changes in {
        "without": {},
        "with": {"load_from": str(tmp_path / "start.pth")},
    }.items():
        cfg = papers_search(toy, **{"search.steps": 1}, **changes)
        run_search(cfg, tmp_path / name, supernet=supernet)
    without, with_start = (tmp_path / name / "trace.jsonl" for name in ("without", "with"))
    assert without.read_text() == with_start.read_text()


def test_a_config_without_a_seed_has_seed_0(toy, supernet: Path, tmp_path: Path) -> None:
    cfg = papers_search(toy, **{"search.steps": 1, "randomness.seed": None})
    ticket = run_search(cfg, tmp_path, supernet=supernet)
    assert ticket.provenance["settings"]["seed"] == 0
    cfg.pop("val_dataloader")
    with pytest.raises(ConfigError, match="expected val_dataloader"):
        run_search(cfg, tmp_path)


def test_writes_a_ticket_a_trace_and_a_picture(searched: Path) -> None:
    ticket = Ticket.load(searched / "ticket.json")
    assert ticket.attention == "SE" and ticket.backbone.name == "resnet14_cifar"
    assert ticket.attention_options == {"reduction": 4}

    trace = read_trace(searched / "trace.jsonl")
    assert [line.step for line in trace] == [step for step in range(STEPS) for _ in range(3)]
    first_seen: dict[str, int] = {}
    for line in trace:
        assert line.reward == pytest.approx(line.values["accuracy"] + 0.5 * line.sparsity)
        assert line.cached == (first_seen.setdefault(line.mask, line.step) < line.step)
    assert (searched / "search.png").stat().st_size > 10_000

    rules, confirmed = ticket.provenance["rules"], ticket.provenance["confirmed"]
    assert set(rules) == {"best_sampled", "most_frequent", "policy_argmax", "none", "full"}
    best = max(trace, key=lambda line: line.reward)
    assert confirmed[best.mask]["accuracy"] == pytest.approx(best.values["accuracy"])
    assert confirmed["111111"]["over_full"] == 0.0
    bits = "".join(ticket.stages)
    assert confirmed[bits]["reward"] == max(one["reward"] for one in confirmed.values())
    assert ticket.provenance["settings"]["supernet_sha256"]


def test_scalars_can_be_watched_in_tensorboard(toy, supernet: Path, tmp_path: Path) -> None:
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    cfg = toy("classification/toy_search", **{"search.steps": 3})
    set_tensorboard(cfg)
    run_search(cfg, tmp_path, supernet=supernet)
    (events,) = tmp_path.glob("*/vis_data/events.out.tfevents.*")
    read = accumulator.EventAccumulator(str(events))
    read.Reload()
    best = [scalar.value for scalar in read.Scalars("search/best_reward")]
    assert [s.step for s in read.Scalars("search/best_reward")] == [1, 2, 3]
    assert best == sorted(best)
    assert best[-1] == pytest.approx(
        max(line.reward for line in read_trace(tmp_path / "trace.jsonl"))
    )
    (local,) = tmp_path.glob("*/vis_data/scalars.json")
    assert "search/masks_scored" in local.read_text()


def test_a_strategy_that_runs_dry_ends_the_search(toy, supernet: Path, tmp_path: Path) -> None:
    cfg = toy("classification/toy_search", **{"search.steps": 1000, "search.masks_per_step": 16})
    cfg.search.strategy = dict(type="ExhaustiveStrategy")
    ticket = run_search(cfg, tmp_path, supernet=supernet)
    trace = read_trace(tmp_path / "trace.jsonl")
    assert len(trace) == len({line.mask for line in trace}) == 64 and trace[-1].step == 3
    best = max(line.reward for line in trace)
    assert ticket.provenance["confirmed"]["".join(ticket.stages)]["reward"] == pytest.approx(best)


def test_some_images_to_search_with_and_all_to_confirm(toy, supernet: Path, tmp_path: Path) -> None:
    cfg = toy("classification/toy_search", **{"search.steps": 4, "search.images": 16})
    ticket = run_search(cfg, tmp_path, supernet=supernet)
    assert ticket.provenance["settings"]["images"] == 16 and ticket.provenance["images"] == 40
    front = Pareto.load(tmp_path / "pareto.json")
    assert front.quality == "loss"
    losses = [point.values["loss"] for point in front.points]
    assert losses == sorted(losses, reverse=True)
    assert {point.mask for point in front.points} <= set(ticket.provenance["confirmed"])


def test_another_ticket_can_be_picked_from_the_front(
    searched: Path, tmp_path: Path, run_tool
) -> None:
    out = tmp_path / "picked.json"

    def pick(rule: str):
        return run_tool("ticket", "pick", searched, "--rule", rule, "--out", out)

    done = pick("accuracy >= full - 100")
    picked = Ticket.load(out)
    assert picked.connected == 0  # nothing is cheaper than none
    assert picked.provenance["from_search_of"] == Ticket.load(searched / "ticket.json").id
    assert done.code == 0 and "held-out accuracy" in done.out
    found = Ticket.load(searched / "ticket.json")
    own = ("ticket", "pick", searched, "--rule", "best", "--out", searched / "ticket.json")
    assert "another --out" in run_tool(*own).err and Ticket.load(searched / "ticket.json") == found
    nothing = run_tool("ticket", "pick", tmp_path, "--rule", "best", "--out", out)
    assert nothing.code == 2 and "expected the work dir of a finished search" in nothing.err
    refused = pick("accuracy > 3")
    assert refused.code == 2 and "'best', 'knee' or a constraint" in refused.err
    assert Ticket.load(out) == picked


def test_a_ticket_is_picked_by_any_cost_that_was_measured(
    toy, supernet: Path, tmp_path: Path, run_tool
) -> None:
    cfg = papers_search(toy, **{"search.steps": 2, "search.latency": dict(rounds=2)})
    cfg.search.reward = dict(minimize="params", constraint="latency <= 1.5 x plain")
    run_search(cfg, tmp_path, supernet=supernet)
    front = Pareto.load(tmp_path / "pareto.json")
    assert front.cost == "params" and set(front.none.costs) == {"params", "latency"}
    out = tmp_path / "picked.json"
    for rule in ("latency <= 1.02 x plain", "connections <= 3", "params <= 0.5 x full"):
        done = run_tool("ticket", "pick", tmp_path, "--rule", rule, "--out", out)
        assert done.code == 0, done.err
        picked = front.pick(rule)
        assert "".join(Ticket.load(out).stages) == picked.mask
        assert f"accuracy {picked.values['accuracy']:.6g}" in done.out
        assert ("ean ticket cost" in done.out) == rule.startswith("latency")
    refused = run_tool("ticket", "pick", tmp_path, "--rule", "macs <= 3", "--out", out)
    assert refused.code == 2 and "connections, sparsity, params and latency" in refused.err


def test_the_verdict_is_written_logged_and_drawn(searched: Path) -> None:
    ticket = Ticket.load(searched / "ticket.json")
    verdict = Verdict.load(searched / "verdict.json")
    assert verdict.masks["ticket"].mask == "".join(ticket.stages)
    assert verdict.images == ticket.provenance["images"] and verdict.supernets == 1
    assert {one.mask for one in verdict.finalists} == set(ticket.provenance["confirmed"])
    (log,) = searched.glob("*/*.log")
    assert verdict.warnings and all(text in log.read_text() for text in verdict.warnings)


@pytest.mark.slow
@pytest.mark.parametrize(
    "reward",
    [
        dict(minimize="params", constraint="loss <= full + 0.5"),
        dict(quality="accuracy", constraint="macs <= 0.5 x full"),
        dict(minimize="latency", constraint="accuracy >= full - 30"),
    ],
    ids=lambda reward: reward["constraint"],
)
def test_rewards_with_costs_and_constraints(
    toy, supernet: Path, tmp_path: Path, reward: dict
) -> None:
    cfg = toy("classification/toy_search", **{"search.steps": 6})
    cfg.search.reward = reward
    ticket = run_search(cfg, tmp_path, supernet=supernet)
    confirmed = ticket.provenance["confirmed"]["".join(ticket.stages)]
    assert (
        confirmed["feasible"]
        and reward["constraint"].split()[0] in ticket.provenance["searched_for"]
    )
    # A finished search resumes to the same ticket, also if its costs were measured.
    again = run_search(cfg, tmp_path, supernet=supernet, resume=True)
    assert without_date(again) == without_date(ticket)


def test_same_seed_gives_the_same_trace_and_another_seed_another(
    toy, supernet: Path, searched: Path, tmp_path: Path
) -> None:
    traces = [(searched / "trace.jsonl").read_text()]
    for name, seed in (("b", 0), ("c", 1)):
        search(toy, supernet, tmp_path / name, seed=seed)
        traces.append((tmp_path / name / "trace.jsonl").read_text())
    assert traces[0] == traces[1] != traces[2]


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("killed_after", ["half a line", "the trace", "the state"])
def test_a_killed_search_resumes_to_the_same_trace_and_ticket(
    toy,
    supernet: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    killed_after: str,
    step: int,
) -> None:
    whole = search(toy, supernet, tmp_path / "whole")

    save = SavedSearch.save

    def save_and_die(self: SavedSearch, steps_done: int, *arguments: Any) -> None:
        before = self.state_file.read_text() if self.state_file.exists() else None
        save(self, steps_done, *arguments)
        if steps_done == step:
            if killed_after == "half a line":
                self.trace_file.write_text(self.trace_file.read_text()[:-30])
            if killed_after != "the state":  # the state of this step was not written yet
                self.state_file.unlink()
                if before is not None:
                    self.state_file.write_text(before)
            raise KeyboardInterrupt

    monkeypatch.setattr(SavedSearch, "save", save_and_die)
    with pytest.raises(KeyboardInterrupt):
        search(toy, supernet, tmp_path / "killed")
    monkeypatch.undo()
    resumed = search(toy, supernet, tmp_path / "killed", resume=True)

    first, second = ((tmp_path / n / "trace.jsonl").read_text() for n in ("whole", "killed"))
    assert first == second
    assert without_date(whole) == without_date(resumed)


@pytest.mark.slow
def test_a_state_without_its_trace_is_refused(toy, supernet: Path, tmp_path: Path) -> None:
    search(toy, supernet, tmp_path)
    (tmp_path / "trace.jsonl").write_text("")
    with pytest.raises(CheckpointError, match="trace.jsonl: .* delete search_state.json and"):
        search(toy, supernet, tmp_path, resume=True)
    (tmp_path / "search_state.json").write_text("{}")
    with pytest.raises(CheckpointError, match="search_state.json: .* delete search_state.json and"):
        search(toy, supernet, tmp_path, resume=True)


@pytest.mark.slow
def test_the_same_weights_in_another_file_continue_a_search_to_the_same_ticket(
    toy, supernet: Path, tmp_path: Path
) -> None:
    first = search(toy, supernet, tmp_path / "search")
    checkpoint = torch.load(supernet, weights_only=True)
    checkpoint["meta"]["time"] = "of another training"
    torch.save(checkpoint, tmp_path / "again.pth")
    second = search(toy, tmp_path / "again.pth", tmp_path / "search", resume=True)
    assert without_date(first) == without_date(second)


@pytest.mark.slow
def test_resuming_a_search_where_nothing_is_says_so_and_starts_anew(
    toy, supernet: Path, tmp_path: Path
) -> None:
    said: list[str] = []
    first = search(toy, supernet, tmp_path / "search")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(logging.Logger, "info", lambda self, text, *_, **__: said.append(text))
        other = search(toy, supernet, tmp_path / "typo", resume=True)
    assert any(f"{tmp_path}/typo/search_state.json: no such file" in line for line in said)
    assert without_date(first) == without_date(other)


def test_a_supernet_with_scores_that_are_not_finite_gives_no_ticket(
    toy, supernet: Path, tmp_path: Path
) -> None:
    checkpoint = read_checkpoint(supernet)
    checkpoint["state_dict"]["head.fc.weight"].fill_(3e38)  # finite, and its products are not
    torch.save(checkpoint, tmp_path / "large.pth")
    with pytest.raises(CheckpointError, match=r"expected finite scores .* (nan|inf) \(none"):
        search(toy, tmp_path / "large.pth", tmp_path / "search")
    assert not (tmp_path / "search" / "ticket.json").exists()


@pytest.mark.slow
def test_a_strategy_with_a_tuple_option_resumes(toy, supernet: Path, tmp_path: Path) -> None:
    cfg = papers_search(toy)
    cfg.search.strategy = dict(type="HeuristicStrategy", rules=("first_n", "last_n"))
    first = run_search(cfg, tmp_path, supernet=supernet)
    assert without_date(run_search(cfg, tmp_path, supernet=supernet, resume=True)) == without_date(
        first
    )


def test_a_constraint_that_nothing_satisfies(toy, supernet: Path, tmp_path: Path) -> None:
    cfg = papers_search(toy)
    cfg.search.reward = dict(quality="accuracy", constraint="params <= 0.5 x plain - 1")
    with pytest.raises(ConfigError, match="params is 0 without attention"):
        run_search(cfg, tmp_path, supernet=supernet)
    cfg.search.reward = dict(minimize="params", constraint="accuracy >= full + 100")
    ticket = run_search(cfg, tmp_path, supernet=supernet)
    assert ticket.provenance["feasible"] is False
    logs = "".join(file.read_text() for file in tmp_path.glob("*/*.log"))
    assert "no confirmed mask satisfies accuracy >= full + 100" in logs


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sparsity_weight": 2.0}, ["sparsity_weight"]),
        ({"reward": dict(quality="speed")}, ["reward: quality", "'accuracy' or 'loss'"]),
        ({"scorer": dict(type="LuckScorer")}, ["scorer", "LuckScorer"]),
        ({"reward": dict(quality="loss", cost="params", weight=-1)}, ["reward.weight", "-1"]),
        ({"reward": "accuracy"}, ["reward", "'accuracy'"]),
        ({"strategy": {}}, ["strategy", "type", "{}"]),
        ({"strategy": "RandomStrategy"}, ["strategy", "'RandomStrategy'"]),
        ({"supernets": 0}, ["supernets", "0"]),
        ({"steps": "6"}, ["steps", "'6'"]),
        ({"masks_per_step": 0}, ["masks_per_step", "0"]),
        ({"images": 0}, ["images", "0"]),
        ({"confirm": 0.5}, ["confirm", "0.5"]),
        ({"last_steps": 0}, ["last_steps", "0"]),
        ({"bn": "own"}, ["bn", "'batch', 'recalibrated' or 'running'", "own"]),
        ({"latency": "cost.json"}, ["latency", "'cost.json'"]),
        ({"latency": dict(round=3)}, ["latency.round"]),
        ({"latency": dict(rounds=1)}, ["latency.rounds", "1"]),
        ({"latency": dict(method="guess")}, ["latency.method", "'guess'"]),
        ({"latency": dict(input_shape=(32, 32))}, ["latency.input_shape", "(32, 32)"]),
    ],
    ids=str,
)
def test_a_bad_setting_is_refused_by_name_and_before_anything_is_written(
    toy, tmp_path: Path, changes: dict, words: list[str]
) -> None:
    cfg = papers_search(toy)
    for name, value in changes.items():
        cfg.search.pop(name, None)
        cfg.search[name] = value
    with pytest.raises(ConfigError) as error:
        run_search(cfg, tmp_path)
    assert all(word in str(error.value) for word in ["toy_search.py", *words])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("changes", "arguments", "message"),
    [
        ({}, {"supernet": "typo.pth"}, "typo.pth"),
        ({"model.head.num_classes": 7}, {"supernet": "given"}, "checkpoint of another network"),
        ({"search.latency": dict(rounds=1)}, {"supernet": "given"}, "latency.rounds"),
        ({"search.strategy.type": "Luck"}, {"supernet": "given"}, "Luck"),
        ({"search.strategy.type": "Luck"}, {}, "Luck"),
        ({"search.strategy": dict(type="RandomStrategy", luck=1)}, {}, "RandomStrategy.*luck"),
        ({"search.latency": dict(file="no.json"), "search.reward": REPLACE | FAST}, {}, "no.json"),
        ({"custom_hooks.0.probability": 3}, {}, "probability"),
    ],
    ids=str,
)
def test_what_is_refused_trains_nothing_and_leaves_an_earlier_search_as_it_was(
    toy, supernet: Path, tmp_path: Path, changes: dict, arguments: dict, message: str
) -> None:
    names = ["ticket.json", "search_state.json", "trace.jsonl", "supernet/last_checkpoint"]
    (tmp_path / "supernet").mkdir()
    for name in names:
        (tmp_path / name).write_text("of an earlier search")
    if arguments.get("supernet") == "given":
        arguments = {"supernet": supernet}
    with pytest.raises(EANError, match=message):
        run_search(toy("classification/toy_search", **changes), tmp_path, **arguments)
    assert all((tmp_path / name).read_text() == "of an earlier search" for name in names)
    assert not list(tmp_path.rglob("*.pth"))


@pytest.mark.slow
def test_a_search_started_anew_is_not_resumed_with_an_earlier_ones_supernet(
    toy, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(supernet.parent, tmp_path / "supernet")
    cfg = toy("classification/toy_search", **{"search.steps": 1, "search.supernets": 1})
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(Runner, "train", Mock(side_effect=KeyboardInterrupt))
        run_search(cfg, tmp_path, seed=1)
    ticket = run_search(cfg, tmp_path, seed=1, resume=True)
    again = run_search(cfg, tmp_path, resume=True)  # with the seed that it began with
    assert again.provenance["settings"]["seed"] == 1
    (used,) = ticket.provenance["settings"]["supernet_sha256"]
    hashes = [hash_of(file) for file in (tmp_path / "supernet/epoch_1.pth", supernet)]
    assert used == hashes[0] != hashes[1]


def test_the_ticket_is_written_last(
    toy, supernet: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed, pytest.raises(KeyboardInterrupt):
        killed.setattr(SearchResult, "figure", Mock(side_effect=KeyboardInterrupt))
        search(toy, supernet, tmp_path)
    assert not (tmp_path / "ticket.json").exists()
    search(toy, supernet, tmp_path, resume=True)
    assert all((tmp_path / name).exists() for name in ("ticket.json", "pareto.json", "search.png"))


@pytest.mark.slow
def test_a_latency_table_is_taken_from_a_file_and_left_there(
    toy, supernet: Path, tmp_path: Path
) -> None:
    cfg = papers_search(toy, **{"search.latency": None})
    cfg.search.reward = FAST
    run_search(cfg, tmp_path / "first", supernet=supernet)
    table = tmp_path / "first/cost_latency.json"
    cfg.search.latency = dict(file=str(table))
    before = table.read_text()
    run_search(cfg, tmp_path / "first", supernet=supernet)
    assert table.read_text() == before
    run_search(cfg, tmp_path / "second", supernet=supernet)
    assert not (tmp_path / "second/cost_latency.json").exists()
    cfg.search.reward = dict(quality="accuracy", constraint="params <= 0.5 x full")
    run_search(cfg, tmp_path / "second", supernet=supernet)
    cfg.search.reward = FAST
    cfg.search.latency = dict(file=str(tmp_path / "second/cost_params.json"))
    with pytest.raises(ConfigError, match="cost_params.json: .*latency.*params"):
        run_search(cfg, tmp_path / "third", supernet=supernet)


@pytest.mark.slow
def test_resuming_with_another_seed_images_or_supernet_is_refused_and_a_fresh_start_forgets(
    toy, supernet: Path, tmp_path: Path
) -> None:
    weights = torch.load(supernet, weights_only=True)
    weights["state_dict"]["head.fc.bias"] += 1.0
    other = tmp_path / "other.pth"
    torch.save(weights, other)
    folder = tmp_path / "search"
    search(toy, supernet, folder)
    with pytest.raises(ConfigError, match="held_out_sha256="):
        cfg = papers_search(toy, **{"val_dataloader.dataset.split": "test"})
        run_search(cfg, folder, supernet=supernet, resume=True)
    with pytest.raises(ConfigError, match="seed=0.* 1"):
        search(toy, supernet, folder, resume=True, seed=1)
    with pytest.raises(ConfigError, match="supernet_sha256"):
        search(toy, other, folder, resume=True)
    fresh, elsewhere = search(toy, other, folder), search(toy, other, tmp_path / "elsewhere")
    assert without_date(fresh) == without_date(elsewhere)


@pytest.mark.slow
def test_several_supernets_are_trained_and_their_scores_averaged(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy_search", **{"search.steps": 2, "search.supernets": 2})
    ticket = run_search(cfg, tmp_path / "both")
    files = [tmp_path / "both" / name / "epoch_1.pth" for name in ("supernet", "supernet_1")]
    assert len(set(ticket.provenance["settings"]["supernet_sha256"])) == 2
    traces = [read_trace(tmp_path / "both/trace.jsonl")]
    for index, file in enumerate(files):
        run_search(cfg, tmp_path / str(index), supernet=file)
        traces.append(read_trace(tmp_path / str(index) / "trace.jsonl"))
    both, first, second = (trace[0] for trace in traces)
    assert both.mask == first.mask == second.mask
    assert first.values["loss"] != second.values["loss"]
    for name, error in (("loss", 1e-6), ("accuracy", 1e-4)):
        mean = (first.values[name] + second.values[name]) / 2
        assert both.values[name] == pytest.approx(mean, abs=error)
    again = run_search(cfg, tmp_path / "given", supernet=files)
    assert without_date(again) == without_date(ticket)


def test_a_config_without_search_and_a_network_that_is_no_supernet_are_refused(
    toy, supernet: Path, tmp_path: Path
) -> None:
    with pytest.raises(ConfigError, match="toy.py: .*`search = dict"):
        run_search(toy("classification/toy"), tmp_path)
    sparse = Ticket.from_bits("100000", "resnet14_cifar").save(tmp_path / "sparse.json")
    cfg = toy("classification/toy_search", **{"model.backbone.ticket": str(sparse)})
    with pytest.raises(ConfigError, match="ticket='full'"):
        run_search(cfg, tmp_path, supernet=supernet)
    with pytest.raises(ConfigError, match="ticket='full'"):
        run_search(cfg, tmp_path)
    cfg.model.backbone = dict(type=ResNet_CIFAR, depth=18)
    with pytest.raises(ConfigError, match="has no ticketed backbone"):
        run_search(cfg, tmp_path)


def test_a_finished_search_is_not_replaced_by_its_command(searched: Path, run_tool) -> None:
    before = sorted(path.name for path in searched.iterdir())
    done = run_tool("search", "classification/toy_search", "--work-dir", searched)
    assert done.code == 2 and "another --work-dir, or --resume" in done.err, done.err
    assert sorted(path.name for path in searched.iterdir()) == before


def test_trained_supernets_are_not_trained_over(supernet: Path, tmp_path: Path, run_tool) -> None:
    (tmp_path / "supernet").mkdir()
    (tmp_path / "supernet" / "last_checkpoint").write_text("epoch_1.pth")
    typed = ("search", "classification/toy_search", "--work-dir", tmp_path)
    assert "last_checkpoint: expected another --work-dir" in run_tool(*typed).err
    assert run_tool(*typed, "--supernet", supernet, "--cfg-options", "search.steps=1").code == 0


def test_options_of_a_training_are_refused_where_nothing_is_trained(
    supernet: Path, tmp_path: Path, run_tool
) -> None:
    typed = ("--supernet", supernet, "--work-dir", tmp_path, "--lr", 0.1, "--amp")
    done = run_tool("search", "classification/toy_search", *typed)
    assert done.code == 2 and "--lr, --amp: for the training of supernets" in done.err
