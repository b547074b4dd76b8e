"""Fixed statistics of batch normalisation: measured over many images, then standing still."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmengine.hooks import EMAHook
from mmengine.model import BaseModel, ExponentialMovingAverage
from torch import Tensor, nn
from torch.utils.data import DataLoader

from ean_transfer.engine.hooks.freeze_norm import FreezeNormHook, measure_statistics
from ean_transfer.errors import ConfigError

IMAGES = 24


class Model(BaseModel):
    """Two normalised layers that are trained, one in evaluation mode and one without use."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.BatchNorm2d(3), nn.BatchNorm2d(3)
        self.fixed, self.unused = nn.BatchNorm2d(3), nn.BatchNorm2d(3)

    def forward(self, inputs: list[Tensor], mode: str = "tensor") -> dict[str, Tensor]:
        x = torch.stack(inputs)
        return {"loss": self.second(self.first(x) ** 2).sum() + self.fixed(x).sum()}


def runner(iteration: int, seed: int = 0) -> Any:
    """What the hook needs of a runner, in a training whose images differ much from each other."""
    generator = torch.Generator().manual_seed(3)
    levels = 5 * torch.randn(IMAGES, 3, 1, 1, generator=generator)
    images = levels + torch.randn(IMAGES, 3, 8, 8, generator=generator)
    model = Model().train()
    model.fixed.eval()
    # The running statistics of a training: those of its last batches.
    for layer in (model.first, model.second, model.fixed, model.unused):
        layer.running_mean.fill_(7.0)
    loader = DataLoader([{"inputs": image} for image in images], 2, collate_fn=pseudo_collate)
    return SimpleNamespace(
        iter=iteration, model=model, seed=seed, train_dataloader=loader, images=images, hooks=[]
    )


def statistics(model: nn.Module) -> list[Tensor]:
    return [value.clone() for name, value in model.state_dict().items() if "running" in name]


def test_statistics_stand_still_from_an_iteration_on_and_weights_keep_learning() -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4))
    hook = FreezeNormHook(begin=2, images=0)
    means = []
    for iteration in range(4):
        model.train()  # as after a validation
        hook.before_train_iter(SimpleNamespace(iter=iteration, model=model), iteration)
        model(torch.randn(2, 3, 5, 5) + iteration).sum().backward()
        means.append(model[1].running_mean.clone())
    assert not torch.equal(means[0], means[1])
    assert torch.equal(means[1], means[2]) and torch.equal(means[2], means[3])
    assert model[1].weight.grad is not None


def _fix(rank: int, folder: Path) -> None:
    """What one of two processes does: its running statistics are its own."""
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    model = nn.BatchNorm2d(3)
    model.running_mean.fill_(rank + 1.0)
    FreezeNormHook(begin=2, images=0).before_train_iter(SimpleNamespace(iter=2, model=model), 2)
    torch.save(model.state_dict(), folder / f"{rank}.pth")
    torch.distributed.destroy_process_group()


def test_processes_fix_the_statistics_of_the_first(tmp_path: Path) -> None:
    torch.multiprocessing.start_processes(_fix, (tmp_path,), nprocs=2, start_method="fork")
    states = [torch.load(tmp_path / f"{rank}.pth", weights_only=True) for rank in range(2)]
    assert all(state["running_mean"].tolist() == [1.0, 1.0, 1.0] for state in states)


@pytest.mark.parametrize("batch_size", [2, 6, IMAGES])
def test_statistics_that_are_fixed_are_those_over_all_images(batch_size: int) -> None:
    training = runner(iteration=5)
    FreezeNormHook(begin=5, images=1000, batch_size=batch_size).before_train_iter(training, 5)
    layer = training.model.first
    values = training.images.double().transpose(0, 1).flatten(1)
    torch.testing.assert_close(layer.running_mean.double(), values.mean(1), rtol=1e-4, atol=1e-5)
    # Batches' own variances are divided by one less than their number of values.
    torch.testing.assert_close(layer.running_var.double(), values.var(1), rtol=0.01, atol=0)
    assert layer.momentum == 0.1 and not layer.training


def test_layers_that_are_fixed_or_unused_keep_their_statistics() -> None:
    training = runner(iteration=0)
    FreezeNormHook(begin=0).before_train_iter(training, 0)
    for layer in (training.model.fixed, training.model.unused):
        assert layer.running_mean.tolist() == [7.0] * 3 and layer.running_var.tolist() == [1.0] * 3
    assert training.model.second.running_mean.max() < 3


def test_a_layer_that_several_blocks_share_gets_the_statistics_of_all_its_calls() -> None:
    class Shared(Model):
        def forward(self, inputs: list[Tensor], mode: str = "tensor") -> dict[str, Tensor]:
            x = torch.stack(inputs)
            return {"loss": self.first(x).sum() + self.first(x + 20.0).sum()}

    training = runner(iteration=5)
    training.model = Shared().train()
    FreezeNormHook(begin=5, images=1000, batch_size=6).before_train_iter(training, 5)
    values = training.images.double().transpose(0, 1).flatten(1)
    both = torch.cat([values, values + 20.0], dim=1)
    layer = training.model.first
    torch.testing.assert_close(layer.running_mean.double(), both.mean(1), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(layer.running_var.double(), both.var(1), rtol=0.01, atol=0)


@pytest.mark.parametrize("update_buffers", [True, False])
def test_averaged_weights_get_statistics_of_their_own(update_buffers: bool) -> None:
    training = runner(5)
    average = EMAHook(update_buffers=update_buffers)
    average.ema_model = ExponentialMovingAverage(training.model, update_buffers=update_buffers)
    with torch.no_grad():
        average.ema_model.module.first.weight.fill_(
            2.0
        )  # so the next layer sees four times as much
        average.ema_model.module.first.bias.zero_()
    training.hooks = [average]
    FreezeNormHook(begin=5).before_train_iter(training, 5)
    own, averaged = training.model.second, average.ema_model.module.second
    if update_buffers:
        torch.testing.assert_close(averaged.running_mean, 4 * own.running_mean)
    else:  # validated with the buffers of the model itself
        assert averaged.running_mean.tolist() == [7.0] * 3


@pytest.mark.parametrize("iteration", [4, 6, 100])
def test_only_the_first_frozen_iteration_measures(iteration: int) -> None:
    training = runner(iteration)
    FreezeNormHook(begin=5).before_train_iter(training, iteration)
    assert training.model.first.running_mean.tolist() == [7.0] * 3


@pytest.mark.parametrize(("begin", "is_late"), [(4, False), (5, True)])
def test_a_begin_after_the_training_is_said(begin: int, is_late: bool) -> None:
    said: list[str] = []
    training = SimpleNamespace(max_iters=5, logger=SimpleNamespace(warning=said.append))
    FreezeNormHook(begin).before_train(training)
    assert [f"5 iterations, found {begin}" in line for line in said] == [True] * is_late


def test_no_draw_of_the_training_changes_and_the_seed_alone_decides() -> None:
    measured = []
    for seed, drawn_before in ((0, 0), (0, 5), (1, 0)):
        training = runner(5, seed)
        np.random.seed(drawn_before)
        torch.manual_seed(drawn_before)
        np.random.rand(drawn_before)
        expected = np.random.get_state()[1].tolist(), torch.get_rng_state()
        FreezeNormHook(begin=5, images=8, batch_size=4).before_train_iter(training, 5)
        assert np.random.get_state()[1].tolist() == expected[0]
        assert torch.equal(torch.get_rng_state(), expected[1])
        measured.append(statistics(training.model))
    first, again, other = measured
    assert all(map(torch.equal, first, again))
    assert not torch.equal(first[0], other[0])


def test_a_batch_that_fails_leaves_the_momentum() -> None:
    training = runner(0)
    with pytest.raises(TypeError):
        measure_statistics(training.model, [{"unknown": torch.zeros(3, 8, 8)}])
    assert training.model.first.momentum == 0.1


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (dict(begin=-1), "begin"),
        (dict(begin=1, images=-1), "images"),
        (dict(begin=1, images=2.5), "images"),
        (dict(begin=1, batch_size=0), "batch_size"),
    ],
)
def test_numbers_that_are_none_are_refused(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        FreezeNormHook(**arguments)
