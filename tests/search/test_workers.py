"""Masks scored on workers: the outcomes of a single process, also when one is lost."""

from __future__ import annotations

import os
import pickle
import signal
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.data import DataLoader, TensorDataset

from ean_transfer import attach
from ean_transfer.engine.workers import open_workers
from ean_transfer.errors import ConfigError
from ean_transfer.search.workers import ScoringWorkers
from ean_transfer.supernet import MaskEvaluator
from ean_transfer.supernet.scoring import LossScorer
from tests.attachment.networks import SE

distributed = pytest.importorskip("distributed")


class Residual(nn.Module):
    """A residual block, known to attach() by its place."""

    def __init__(self) -> None:
        super().__init__()
        self.branch = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.BatchNorm2d(4))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.branch(x))


def evaluator(folder: Path | None = None, **options: Any) -> MaskEvaluator:
    torch.manual_seed(0)
    body = [Residual() for _ in range(4)]
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(4, 3)]
    model = attach(
        nn.Sequential(nn.Conv2d(3, 4, 3), *body, *head),
        SE,
        at=["*.branch"],
        example=torch.zeros(1, 3, 8, 8),
    )
    data = TensorDataset(torch.randn(20, 3, 8, 8), torch.arange(20) % 3)
    return MaskEvaluator(
        model, DataLoader(data, 5), LossScorer(F.cross_entropy), folder=folder, **options
    )


MASKS = list(product((False, True), repeat=4))


@pytest.fixture(scope="module")
def client() -> Any:
    """Two workers in this process."""
    with distributed.Client(
        processes=False, n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0"
    ) as client:
        yield client


@pytest.mark.parametrize("images", [None, 10])
def test_outcomes_are_those_of_one_process(client, images: int | None) -> None:
    alone, shared = evaluator(images=images), evaluator(images=images)
    shared.elsewhere = ScoringWorkers(client)
    for masks in (MASKS[3:5], MASKS):  # sent once, asked twice
        expected, outcomes = alone.outcomes(masks), shared.outcomes(masks)
        assert set(expected) == set(outcomes)
        for mask in masks:
            assert np.array_equal(expected[mask].loss, outcomes[mask].loss)
    assert shared.images == alone.images
    everything = shared.on_all_images()
    assert everything.score(MASKS[3]) == evaluator().score(MASKS[3])


def test_an_evaluator_can_be_pickled() -> None:
    # Dask takes what cannot apart, and finds no end in a network whose hooks know its modules.
    sent = pickle.loads(pickle.dumps(evaluator().unread()))
    assert sent.scores(MASKS[:2]) == evaluator().scores(MASKS[:2])


def test_the_supernet_is_sent_once(client, monkeypatch: pytest.MonkeyPatch) -> None:
    sent = []
    scatter = client.scatter
    monkeypatch.setattr(client, "scatter", lambda *a, **k: sent.append(a) or scatter(*a, **k))
    shared = evaluator()
    shared.elsewhere = ScoringWorkers(client)
    shared.outcomes(MASKS[:4])
    shared.outcomes(MASKS[4:])
    assert len(sent) == 1


def test_a_fault_on_a_worker_is_said_as_in_one_process(client) -> None:
    shared = evaluator()
    shared.elsewhere = ScoringWorkers(client)
    nn.init.constant_(shared.model[-1].bias, float("nan"))
    with pytest.raises(ConfigError, match="expected a finite loss, found NaN"):
        shared.outcomes(MASKS)


@pytest.mark.slow
def test_a_lost_worker_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = evaluator().outcomes(MASKS)
    with open_workers(2) as workers:
        shared = evaluator()
        shared.elsewhere = ScoringWorkers(workers.client, 1)
        shared.outcomes(MASKS[:2])
        workers.client.amm.run_once()  # as every two seconds: one worker alone keeps the supernet
        ((_, sent),) = shared.elsewhere._sent.values()
        (place,) = workers.client.who_has(sent)[sent.key]
        victim = workers.client.run(os.getpid)[place]
        alive, gather = [victim], workers.client.gather

        def lose_one(futures: list[Any]) -> list[Any]:
            if alive:
                os.kill(alive.pop(), signal.SIGKILL)  # while the masks are scored
            return gather(futures)

        monkeypatch.setattr(workers.client, "gather", lose_one)
        outcomes = shared.outcomes(MASKS)
        assert victim not in workers.client.run(os.getpid).values()
    assert all(np.allclose(expected[m].loss, outcomes[m].loss) for m in MASKS)
