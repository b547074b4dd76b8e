"""The importance of connections is the slope of the loss, found by finite differences as well."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

import ean_transfer.attachment.hook
import ean_transfer.backbones.blocks
from ean_transfer import attach
from ean_transfer.attachment.network import evaluating, find_backbone
from ean_transfer.attention.base import recalibrate
from ean_transfer.classification import ClassificationScorer
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.evaluation import MaskEvaluator
from ean_transfer.supernet.importance import connection_importance
from ean_transfer.supernet.scoring import FunctionScorer
from ean_transfer.supernet.statistics import batch_statistics
from tests.attachment.networks import DIA, SE, SMALL, small

STEP = 1e-5


@contextmanager
def gates(values: list[float]) -> Iterator[None]:
    """Multiply the effect of the k-th call of an attention in each forward with the k-th value."""
    calls = 0

    def gated(attention: Any, x: Tensor, state: Any) -> tuple[Tensor, Any]:
        nonlocal calls
        y, state = recalibrate(attention, x, state)
        value = values[calls % len(values)]
        calls += 1
        return x + value * (y - x), state

    with pytest.MonkeyPatch.context() as patch:
        for module in (ean_transfer.attachment.hook, ean_transfer.backbones.blocks):
            patch.setattr(module, "recalibrate", gated)
        patch.setattr(ean_transfer.backbones.blocks, "adds_shortcut", lambda *_: False)
        yield


def by_finite_differences(loss: Any, blocks: int) -> list[float]:
    """Minus the slope of a function without arguments, by the gate of each block."""
    slopes = []
    for block in range(blocks):
        ends = []
        for sign in (1.0, -1.0):
            values = [1.0] * blocks
            values[block] += sign * STEP
            with torch.no_grad(), gates(values):
                ends.append(float(loss()))
        slopes.append((ends[1] - ends[0]) / (2.0 * STEP))
    return slopes


def smooth(net: Any) -> Any:
    """Replace ReLUs, at whose kinks a finite difference is not the slope."""
    for module in list(net.modules()):
        for name, child in module.named_children():
            if isinstance(child, nn.ReLU):
                setattr(module, name, nn.SiLU())
    return net


def loss_of(outputs: Tensor, targets: Tensor) -> Tensor:
    return F.cross_entropy(outputs.flatten(1)[:, :5], targets)


def some_batches(sizes: tuple[int, ...] = (3, 2)) -> list[tuple[Tensor, Tensor]]:
    draws = torch.Generator().manual_seed(3)
    return [
        (torch.randn(n, 3, 32, 32, generator=draws).double(), torch.arange(n) % 5) for n in sizes
    ]


def mean_loss(net: nn.Module, batches: list[tuple[Tensor, Tensor]]) -> float:
    losses = [float(loss_of(net(x), y)) * len(x) for x, y in batches]
    return sum(losses) / sum(len(x) for x, _ in batches)


@pytest.mark.parametrize(
    "attention", [SE, dict(type="SGE", groups=4), DIA], ids=lambda one: one["type"]
)
@pytest.mark.parametrize("sharing", ["stage", "block"])
@pytest.mark.parametrize("init", ["default", "identity"])
def test_the_slope_on_an_attached_network(attention: Any, sharing: str, init: str) -> None:
    torch.manual_seed(0)
    net = smooth(attach(small("resnet"), attention, sharing, init=init)).double()
    for parameter in net.parameters():  # so that identity starts differ from the plain network
        parameter.data += 0.05 * torch.randn_like(parameter)
    batches, blocks = some_batches(), find_backbone(net).ticket.num_blocks
    importance = connection_importance(net, batches, loss_of)
    with evaluating(net), batch_statistics(net):
        expected = by_finite_differences(lambda: mean_loss(net, batches), blocks)
    assert importance == pytest.approx(expected, rel=1e-4, abs=1e-9)
    assert min(map(abs, importance)) > 1e-7 and len(set(importance)) == blocks


@pytest.mark.parametrize("family", SMALL)
def test_the_slope_on_every_family_with_running_statistics(family: str) -> None:
    net = smooth(attach(small(family), "ECA")).double()
    batches, blocks = some_batches((2,)), find_backbone(net).ticket.num_blocks
    importance = connection_importance(net, batches, loss_of, bn="running")
    with evaluating(net):
        expected = by_finite_differences(lambda: mean_loss(net, batches), blocks)
    assert importance == pytest.approx(expected, rel=1e-3, abs=1e-9)


@pytest.mark.parametrize("with_cp", [False, True])
def test_the_slope_on_a_ticketed_backbone_by_its_tasks_scorer(parts, with_cp: bool) -> None:
    model, loader = parts
    model, scorer = smooth(model).double(), ClassificationScorer()
    for module in model.backbone.modules():
        if hasattr(module, "with_cp"):
            module.with_cp = with_cp
    prepared = [scorer.prepare(model, raw) for raw in loader]
    for batch in prepared:
        batch["inputs"] = batch["inputs"].double()
    scorer.prepare = lambda model, raw: raw  # type: ignore[method-assign]
    importance = connection_importance(model, prepared, scorer)

    def loss() -> Tensor:
        return torch.cat([scorer.rows(model, batch)[1] for batch in prepared]).mean()

    with evaluating(model), batch_statistics(model):
        expected = by_finite_differences(loss, 6)
    assert importance == pytest.approx(expected, rel=1e-4, abs=1e-9) and len(set(importance)) == 6
    assert all(
        module.with_cp is with_cp for module in model.modules() if hasattr(module, "with_cp")
    )


def test_the_model_is_left_as_it_was() -> None:
    net = attach(small("resnet"), SE).train()
    network = find_backbone(net)
    mask = tuple(block % 2 == 0 for block in range(network.ticket.num_blocks))
    network.set_mask(mask)
    for parameter in net.parameters():
        parameter.requires_grad_(False)  # a frozen network has slopes as well
    before = copy.deepcopy(net.state_dict())
    x, y = some_batches((4,))[0]
    batches = [(x.float(), y)]
    with torch.no_grad():
        importance = connection_importance(net, batches, loss_of)
    assert all(importance) and importance == connection_importance(net, batches, loss_of)
    assert net.training and network.mask == mask
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(parameter.grad is not None for parameter in net.parameters())
    assert not any(attention._forward_hooks for attention in network.attentions)


def test_what_has_no_slope_is_refused() -> None:
    net = attach(small("resnet"), SE)
    with pytest.raises(ConfigError, match=r"can be differentiated, found that FunctionScorer"):
        connection_importance(net, [None], FunctionScorer(lambda model: 1.0))
    with pytest.raises(ConfigError, match=r"at full, but the backbone has ticket"):
        connection_importance(attach(small("resnet"), SE, ticket="none"), [], loss_of)


def test_an_evaluators_importance_is_that_on_its_held_out_images(parts) -> None:
    model, loader = parts
    evaluator = MaskEvaluator(model, loader, ClassificationScorer())
    evaluator.score((True,) * 6)
    importance = evaluator.importance()
    assert importance == connection_importance(model, loader, ClassificationScorer())


def test_no_batches_are_refused() -> None:
    with pytest.raises(ConfigError, match="expected at least one batch"):
        connection_importance(attach(small(), SE), [], F.mse_loss)
