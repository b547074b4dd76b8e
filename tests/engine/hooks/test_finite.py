"""A loss or weights that are not finite: the training stops and loses nothing."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import Mock

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, MODELS

from ean_transfer.engine.checkpoints import last_checkpoint
from ean_transfer.engine.config import set_ticket_of
from ean_transfer.engine.hooks.finite import FiniteLossHook
from ean_transfer.engine.training import evaluate, train
from ean_transfer.engine.weights import write_network
from ean_transfer.errors import CheckpointError, TrainingError
from ean_transfer.io.checkpoint import read_checkpoint


@HOOKS.register_module()
class Spoil(Hook):
    """Spoils the images of some iterations, or a weight after one of them."""

    priority = "LOW"

    def __init__(self, at: list[int], value: float = float("nan"), weight: bool = False) -> None:
        self.at, self.value, self.weight = at, value, weight

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        if runner.iter + 1 in self.at and not self.weight:
            data_batch["inputs"] = [image.float() * self.value for image in data_batch["inputs"]]

    def after_train_iter(self, runner: Any, *_: Any, **__: Any) -> None:
        if runner.iter + 1 in self.at and self.weight:
            next(runner.model.parameters()).data.view(-1)[0] = self.value


@pytest.fixture
def spoilt(toy):
    """A toy training of 3 epochs of 4 batches that is spoilt at some iterations."""

    def load(at: list[int], **options: Any) -> Any:
        cfg = toy("classification/toy")
        cfg.train_cfg.max_epochs = 3
        cfg.default_hooks.checkpoint.max_keep_ckpts = 1
        cfg.custom_hooks = [dict(type="Spoil", at=at, **options)]
        return cfg

    return load


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_stops_the_training(spoilt, tmp_path: Path, value: float) -> None:
    with pytest.raises(TrainingError, match=r"iteration 6, learning rate .*epoch_1.pth"):
        train(spoilt([6], value=value), tmp_path, quiet=True)
    assert last_checkpoint(tmp_path) == str(tmp_path / "epoch_1.pth")


def test_so_many_batches_are_left_out_as_asked(spoilt, tmp_path: Path) -> None:
    cfg = spoilt([2, 7])
    cfg.default_hooks.finite = dict(skip=2)
    runner = train(cfg, tmp_path / "two", quiet=True)
    state = runner.optim_wrapper.optimizer.state_dict()["state"]
    assert all(torch.isfinite(entry["momentum_buffer"]).all() for entry in state.values())
    assert runner.iter == 12
    cfg.default_hooks.finite = dict(skip=1)
    with pytest.raises(TrainingError, match="iteration 7"):
        train(cfg, tmp_path / "one", quiet=True)


@pytest.mark.parametrize(("at", "steps"), [([1, 6, 12], 6), ([3, 4], 5)])
def test_a_batch_left_out_ends_an_accumulation_as_any_other(
    spoilt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, at: list[int], steps: int
) -> None:
    cfg = spoilt(at)
    cfg.optim_wrapper.accumulative_counts = 2
    cfg.default_hooks.finite = dict(skip=3)
    step, taken = torch.optim.SGD.step, []
    monkeypatch.setattr(torch.optim.SGD, "step", lambda self: taken.append(step(self)))
    runner = train(cfg, tmp_path, quiet=True)
    assert len(taken) == steps  # of 12 batches, without a step of nothing
    assert all(parameter.grad is None for parameter in runner.model.parameters())


def _accumulate(rank: int, folder: Path) -> None:
    """What one of two processes does: the loss of the second one's last batch is NaN."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    weight = torch.nn.Parameter(torch.zeros(1))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=1.0), accumulative_counts=2)
    runner = SimpleNamespace(optim_wrapper=wrapper, iter=0, work_dir=folder, logger=Mock())
    FiniteLossHook(skip=1).before_train(runner)
    wrapper.update_params((weight * (rank + 1.0)).sum())  # gradients of 1 and 2, not averaged yet
    wrapper.update_params((weight * (math.nan if rank else 1.0)).sum())
    (folder / str(rank)).write_text(str(weight.item()))
    torch.distributed.destroy_process_group()


def test_processes_average_what_was_accumulated_before_a_batch_left_out(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_accumulate, (tmp_path,), nprocs=2, start_method="fork")
    # Half of the mean gradient: each batch counts as one of two.
    assert [float((tmp_path / str(rank)).read_text()) for rank in range(2)] == [-0.75, -0.75]


def test_weights_that_are_not_finite_never_replace_a_checkpoint(spoilt, tmp_path: Path) -> None:
    # In the last iteration of an epoch, so that no loss is computed between it and the saving.
    with pytest.raises(TrainingError, match=r"conv1.weight.*epoch_1.pth"):
        train(spoilt([8], weight=True), tmp_path, quiet=True)
    assert [file.name for file in tmp_path.glob("*.pth")] == ["epoch_1.pth"]


@pytest.mark.parametrize("value", [float("nan"), float("-inf")])
def test_a_checkpoint_of_weights_that_are_not_finite_is_refused(
    toy, trained: Path, tmp_path: Path, value: float
) -> None:
    checkpoint = read_checkpoint(trained)
    checkpoint["state_dict"]["head.fc.weight"][0, 0] = value
    torch.save(checkpoint, trained)
    with pytest.raises(CheckpointError, match="found NaN or infinity in head.fc.weight"):
        evaluate(toy("classification/toy"), trained, tmp_path / "test")
    cfg = toy("classification/toy")
    set_ticket_of(cfg, trained)
    with pytest.raises(CheckpointError, match=r"head.fc.weight"):
        train(cfg, trained.parent, resume=True, quiet=True)


TASKS = {"classification": "pred_score", "segmentation": "seg_logits", "crowd_counting": "pred_"}


@pytest.mark.parametrize("task", TASKS)
def test_predictions_that_are_not_finite_are_never_a_metric(toy, tmp_path: Path, task: str) -> None:
    cfg = toy(f"{task}/toy")
    model = MODELS.build(cfg.model)
    next(model.parameters()).data.fill_(3e38)  # finite, and NaN after a layer
    write_network(model, tmp_path / "network.pth")
    with pytest.raises(CheckpointError, match=rf"network.pth: .* infinity in {TASKS[task]}"):
        evaluate(cfg, tmp_path / "network.pth", tmp_path / "test")
