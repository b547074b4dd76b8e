"""Training a compiled backbone: where it is compiled, and what comes out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from mmengine.registry import MODELS
from torch import Tensor

from ean_transfer.engine.hooks.compiled import CompileHook
from ean_transfer.engine.training import train


@pytest.fixture(autouse=True)
def _compiler_of_its_own() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch.compiler.set_stance("default")
    torch._dynamo.reset()


def test_the_backbone_is_compiled_but_for_validations(toy) -> None:
    model = MODELS.build(toy("classification/toy").model)
    graphs = []

    def backend(graph: Any, inputs: list[Tensor]) -> Callable[..., Any]:
        graphs.append(graph)
        return graph.forward

    hook, runner = CompileHook(backend=backend), SimpleNamespace(model=model)
    hook.before_train(runner)
    model.train().backbone(torch.randn(2, 3, 32, 32))
    assert graphs
    number = len(graphs)
    hook.before_val(runner)
    model.eval().backbone(torch.randn(3, 3, 16, 16))  # a size that has not been compiled
    assert len(graphs) == number
    hook.after_val(runner)
    model.train().backbone(torch.randn(3, 3, 16, 16))
    assert len(graphs) > number


def test_a_compiled_training_is_the_same_up_to_rounding(toy, tmp_path: Path) -> None:
    few = {"train_cfg.max_epochs": 1, "train_dataloader.dataset.length": 64}
    losses, names = [], []
    for name, hooks in (("plain", []), ("compiled", [dict(type="CompileHook", backend="eager")])):
        runner = train(toy("classification/toy", custom_hooks=hooks, **few), tmp_path / name)
        losses.append(runner.message_hub.get_scalar("train/loss").data[0])
        names.append(list(runner.model.state_dict()))
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
    assert names[0] == names[1]  # a checkpoint of either loads into a plain network
