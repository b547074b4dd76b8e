"""The switches that add to a recipe: what each changes, and that they train together."""

from __future__ import annotations

from itertools import accumulate
from pathlib import Path
from typing import Any

import mmengine.device.utils
import pytest
import torch
from mmengine.config import Config
from mmengine.hooks import Hook

from ean_transfer.attention import Attention
from ean_transfer.engine import recipe
from ean_transfer.engine.config import load_config, set_ticket
from ean_transfer.engine.hooks.early_stop import EarlyStopHook
from ean_transfer.engine.recipe import set_recipe
from ean_transfer.engine.runner import build_runner
from ean_transfer.engine.training import evaluate, train
from ean_transfer.errors import ConfigError
from ean_transfer.search.run import run_search

TOY = "classification/toy"


def hooks(cfg: Config) -> dict[str, dict[str, Any]]:
    """The config's own hooks, by their type."""
    return {hook["type"]: dict(hook) for hook in cfg.get("custom_hooks") or []}


def test_without_a_switch_a_config_is_left_as_it_was(toy) -> None:
    cfg, before = toy(TOY), toy(TOY)
    set_recipe(cfg, {"ema": False, "accumulate": None, "seed": 3})
    assert cfg.to_dict() == before.to_dict()


def test_each_switch_changes_its_part_of_the_config(toy) -> None:
    cfg = toy(TOY, **{"train_cfg.max_epochs": 4, "train_cfg.val_interval": 1})
    values = dict(accumulate=2, clip_grad=1.5, ema=True, freeze_backbone=3, val_loss=True)
    set_recipe(cfg, values | {"early_stopping": 2})
    assert cfg.optim_wrapper.accumulative_counts == 2
    assert cfg.optim_wrapper.clip_grad == {"max_norm": 1.5}
    added = hooks(cfg)
    assert added["EMAHook"]["update_buffers"] is True
    assert added["FreezeBackboneHook"]["until"] == 3 and cfg.find_unused_parameters
    assert "ValidationLossHook" in added
    stop = added["EarlyStopHook"]
    assert (stop["monitor"], stop["rule"]) == ("accuracy/top1", "greater")
    assert stop["patience"] == 2
    assert cfg.default_hooks.checkpoint.save_best == "accuracy/top1"


@pytest.mark.parametrize(
    ("config", "metric", "rule"),
    [
        ("segmentation/toy", "mIoU", "greater"),
        ("crowd_counting/toy", "MAE", "less"),
        ("classification/toy_supernet", "accuracy/random", "greater"),
        ("segmentation/toy_supernet", "miou/random", "greater"),
        ("crowd_counting/toy_supernet", "mae/random", "less"),
    ],
)
def test_early_stopping_watches_the_tasks_metric(toy, config: str, metric: str, rule: str) -> None:
    cfg = toy(config, **{"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1})
    set_recipe(cfg, {"early_stopping": 2})
    stop = hooks(cfg)["EarlyStopHook"]
    assert (stop["monitor"], stop["rule"]) == (metric, rule)


@pytest.mark.parametrize(
    ("config", "metric", "rule"),
    [
        ("segmentation/toy", "aAcc", "greater"),
        ("crowd_counting/toy", "RMSE", "less"),
        ("crowd_counting/toy_supernet", "mae/full", "less"),
    ],
)
def test_early_stopping_watches_what_the_config_keeps_the_best_of(
    toy, config: str, metric: str, rule: str
) -> None:
    cfg = toy(config, **{"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1})
    cfg.default_hooks.setdefault("checkpoint", {}).update(save_best=metric)
    set_recipe(cfg, {"early_stopping": 2})
    stop = hooks(cfg)["EarlyStopHook"]
    assert (stop["monitor"], stop["rule"]) == (metric, rule)
    saving = cfg.default_hooks.checkpoint
    assert (saving.save_best, saving.rule) == (metric, rule)


@pytest.mark.parametrize("metric", ["loss", "aAcc"])
@pytest.mark.parametrize(("steps", "stops"), [([0.02] * 6, False), ([0.02, 0, 0], True)])
def test_early_stopping_counts_each_improvement_and_no_equal_value(
    toy, metric: str, steps: list[float], stops: bool
) -> None:
    cfg = toy(TOY, **{"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1})
    cfg.default_hooks.setdefault("checkpoint", {}).update(save_best=metric)
    set_recipe(cfg, {"early_stopping": 2})
    options = hooks(cfg)["EarlyStopHook"]
    hook = EarlyStopHook(**{name: value for name, value in options.items() if name != "type"})
    sign = -1 if metric == "loss" else 1
    values = [0.5 + sign * gained for gained in accumulate([0.0, *steps])]
    assert any(hook._check_stop_condition(value)[0] for value in values) == stops


@pytest.mark.parametrize(
    ("changes", "values", "words"),
    [
        ({}, {"early_stopping": 3}, "more validations"),
        (
            {"train_cfg": {"_delete_": True, "type": "IterBasedTrainLoop", "max_iters": 2000}},
            {"early_stopping": 3},
            "more validations than that, .* has 2",
        ),
        ({"val_evaluator": {"_delete_": True, "type": "Other"}}, {"early_stopping": 3}, "METRIC"),
        (
            {
                "default_hooks.checkpoint.save_best": "other",
                "train_cfg.max_epochs": 9,
                "train_cfg.val_interval": 1,
            },
            {"early_stopping": 3},
            "METRIC",
        ),
        ({"custom_hooks": [{"type": "EMAHook"}]}, {"ema": True}, "EMAHook already"),
        ({"val_cfg": {"_delete_": True, "type": "SupernetValLoop"}}, {"val_loss": True}, "masks"),
        ({"val_cfg": {"_delete_": True, "type": "SupernetValLoop"}}, {"compile": True}, "mask"),
        *(
            ({"optim_wrapper": None}, {name: 2}, f"--{option}.*: expected optim_wrapper in .*toy")
            for name, option in (
                ("amp", "amp"),
                ("accumulate", "accumulate 2"),
                ("clip_grad", "clip-grad 2"),
            )
        ),
        ({}, {"device": "cuda:99"}, "cuda:99"),
        ({}, {"device": "nonsense"}, "nonsense"),
    ],
    ids=str,
)
def test_a_switch_that_does_not_fit_is_refused(toy, changes, values, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        set_recipe(toy(TOY, **changes), values)


@pytest.mark.parametrize("package", ["tensorboard", "wandb", "mlflow"])
def test_a_tracker_whose_package_is_missing_is_refused(
    toy, monkeypatch: pytest.MonkeyPatch, package: str
) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=f"pip install {package}"):
        set_recipe(toy(TOY), {package: True})


def test_trackers_are_added_to_the_local_one(toy, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recipe, "find_spec", lambda name: object())
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://server")
    cfg = toy(TOY)
    set_recipe(cfg, {"tensorboard": True, "wandb": True, "mlflow": True})
    local, _, wandb, mlflow = cfg.visualizer["vis_backends"]
    assert local["type"] == "LocalVisBackend"
    assert wandb["init_kwargs"]["name"] == mlflow["run_name"] == "classification/toy"
    assert mlflow["tracking_uri"] == "http://server"


def test_the_device_is_that_of_the_model(
    toy, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mmengine.device.utils, "DEVICE", "meta")  # an accelerator's stand-in
    cfg = toy(TOY)
    set_recipe(cfg, {"device": "cpu"})
    runner = build_runner(cfg, tmp_path, quiet=True)
    assert next(runner.model.parameters()).device == torch.device("cpu")


class Watch(Hook):
    """Keeps the backbone's weights and statistics as they are after each iteration."""

    priority = "LOWEST"

    def __init__(self) -> None:
        self.seen: list[dict[str, torch.Tensor]] = []

    def before_train(self, runner: Any) -> None:
        self._keep(runner)

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        self._keep(runner)

    def _keep(self, runner: Any) -> None:
        state = runner.model.backbone.state_dict()
        self.seen.append({name: tensor.clone() for name, tensor in state.items()})


@pytest.mark.parametrize(("until", "frozen_for"), [(1, 4), (True, 8)])
def test_a_frozen_backbone_keeps_weights_and_statistics_and_its_attention_learns(
    toy, tmp_path: Path, until: int | bool, frozen_for: int
) -> None:
    cfg = toy(TOY, **{"train_cfg.max_epochs": 2, "train_cfg.val_interval": 1})
    set_ticket(cfg, "full")
    set_recipe(cfg, {"freeze_backbone": until})
    runner = build_runner(cfg, tmp_path, quiet=True)
    runner.register_hook(watch := Watch())
    runner.train()
    attention = [n for n, m in runner.model.backbone.named_modules() if isinstance(m, Attention)]
    own = [name for name in watch.seen[0] if not name.startswith(tuple(attention))]
    assert len(watch.seen) == 1 + 8 and any("running_mean" in name for name in own)
    for number, state in enumerate(watch.seen):
        same = [torch.equal(state[name], watch.seen[0][name]) for name in own]
        assert all(same) == (number <= frozen_for), number
    others = watch.seen[0].keys() - set(own)
    assert any(not torch.equal(watch.seen[1][n], watch.seen[0][n]) for n in others)
    assert all(parameter.requires_grad for parameter in runner.model.parameters())


@pytest.mark.parametrize("config", ["classification/toy", "segmentation/toy", "crowd_counting/toy"])
def test_the_loss_of_a_validation_is_the_trainings(toy, tmp_path: Path, config: str) -> None:
    cfg = toy(config)
    cfg.val_dataloader.dataset.pipeline = cfg.train_dataloader.dataset.pipeline
    set_recipe(cfg, {"val_loss": True})
    runner = build_runner(cfg, tmp_path, quiet=True)
    metrics = runner.val()
    model, losses = runner.model.eval(), []
    with torch.no_grad():
        for batch in runner.val_dataloader:
            data = model.data_preprocessor(batch, False)
            loss = float(model.parse_losses(model(**data, mode="loss"))[0])
            losses += [loss] * len(data["data_samples"])
    assert len(losses) == 40
    assert metrics["loss"] == pytest.approx(sum(losses) / 40, rel=1e-5)


@pytest.mark.slow
def test_a_training_that_does_not_get_better_stops_and_keeps_its_best(toy, tmp_path: Path) -> None:
    changes = {"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1}
    cfg = toy(TOY, **changes, **{"optim_wrapper.optimizer.lr": 1e-12})
    set_recipe(cfg, {"early_stopping": 2})
    runner = train(cfg, tmp_path, quiet=True)
    assert runner.epoch < 9
    assert list(tmp_path.glob("best_*.pth"))


@pytest.mark.slow
def test_a_resumed_training_goes_on_counting(toy, tmp_path: Path) -> None:
    changes = {"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1}
    cfg = toy(TOY, **changes, **{"optim_wrapper.optimizer.lr": 0.0})
    set_recipe(cfg, {"early_stopping": 3})
    whole = train(cfg, tmp_path / "whole", quiet=True)
    assert whole.epoch == 4  # the first validation is the best, then three that equal it do not
    cfg.train_cfg.max_epochs = 2
    train(cfg, tmp_path / "part", quiet=True)
    cfg.train_cfg.max_epochs = 9
    assert train(cfg, tmp_path / "part", resume=True, quiet=True).epoch == whole.epoch


@pytest.mark.slow
def test_all_switches_train_together_and_resume(toy, tmp_path: Path) -> None:
    cfg = toy(TOY, **{"train_cfg.max_epochs": 9, "train_cfg.val_interval": 1})
    switches = dict(accumulate=2, clip_grad=1.0, ema=True, freeze_backbone=1, val_loss=True)
    set_recipe(cfg, switches | dict(early_stopping=8, amp=True, tensorboard=True, device="cpu"))
    cfg.train_cfg.max_epochs = 2
    train(cfg, tmp_path, quiet=True)
    checkpoint = torch.load(tmp_path / "epoch_2.pth", weights_only=False)
    assert "ema_state_dict" in checkpoint
    assert list(tmp_path.glob("*/vis_data/events.out.tfevents.*"))
    (dumped,) = tmp_path.glob("*.py")
    assert "accuracy/top1" in evaluate(
        load_config(dumped), tmp_path / "epoch_2.pth", tmp_path / "t"
    )
    cfg.train_cfg.max_epochs = 3
    assert train(cfg, tmp_path, resume=True, quiet=True).epoch == 3


@pytest.mark.slow
def test_a_search_trains_its_supernet_with_the_switches(toy, tmp_path: Path) -> None:
    changes = {"train_cfg.max_epochs": 3, "train_cfg.val_interval": 1}
    cfg = toy(f"{TOY}_search", **changes, **{"search.steps": 1, "search.supernets": 1})
    set_recipe(cfg, dict(ema=True, accumulate=2, clip_grad=1.0, early_stopping=2, amp=True))
    ticket = run_search(cfg, tmp_path, quiet=True)
    assert (tmp_path / "ticket.json").exists() and ticket.num_blocks == 6
    checkpoint = torch.load(tmp_path / "supernet" / "epoch_2.pth", weights_only=False)
    assert "ema_state_dict" in checkpoint
