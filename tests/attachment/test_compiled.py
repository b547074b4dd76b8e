"""Attention on models that torch.compile, TorchScript, fx or torch.export has changed."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator

import pytest
import torch
from torch import nn
from torchvision.models.resnet import BasicBlock

from ean_transfer import attach, detach, set_mask
from ean_transfer.errors import ConfigError
from tests.attachment.networks import SE, Plain, X


@pytest.fixture(autouse=True)
def _forget_compiled_code() -> Iterator[None]:
    yield
    torch._dynamo.reset()


def compiled(module: nn.Module) -> nn.Module:
    return torch.compile(module, backend="eager")  # type: ignore[return-value]


def wrap(model: nn.Module) -> nn.Module:
    return compiled(model)


def wrap_elsewhere(model: nn.Module) -> nn.Module:
    model.kept = [compiled(model)]  # the user's variable
    return model


def in_place(model: nn.Module) -> nn.Module:
    model.compile(backend="eager")
    return model


def stage(model: nn.Module) -> nn.Module:
    model.layer1 = compiled(model.layer1)
    return model


def stage_in_place(model: nn.Module) -> nn.Module:
    model.layer2.compile(backend="eager")
    return model


def block(model: nn.Module) -> nn.Module:
    model.layer2[1].compile(backend="eager")
    return model


COMPILED: list[Callable[[nn.Module], nn.Module]] = [
    wrap, wrap_elsewhere, in_place, stage, stage_in_place, block,
]  # fmt: skip


@pytest.mark.parametrize("change", COMPILED)
def test_a_compiled_model_is_refused_and_left_as_it_was(change) -> None:
    model = change(Plain())
    before = list(model.state_dict())
    with pytest.raises(ConfigError, match="before torch.compile, found .* then compile it"):
        attach(model, SE)
    assert list(model.state_dict()) == before
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize("change", COMPILED[1:])
def test_attention_is_not_detached_from_a_compiled_model(change) -> None:
    model = change(attach(Plain(), SE))
    with pytest.raises(ConfigError, match="detach.. expects a model before torch.compile"):
        detach(model)


def test_attached_first_a_model_can_be_compiled() -> None:
    model = attach(Plain(), SE).eval()
    assert torch.allclose(compiled(model)(X), model(X), atol=1e-6)


def test_it_does_not_run_the_code_of_another_model_of_its_class() -> None:
    plain = Plain().eval()
    # As in a new process, where nothing was attached before.
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):
        assert torch.allclose(compiled(plain)(X), plain(X), atol=1e-6)
        full = attach(Plain(), SE).eval()
        sparse = copy.deepcopy(full)
        set_mask(sparse, "010 00")
        for model in (sparse, full, plain):
            assert torch.allclose(compiled(model)(X), model(X), atol=1e-6)


def test_from_a_pickle_as_well() -> None:
    data = pickle.dumps(attach(Plain(), SE).eval())
    plain = Plain().eval()
    with torch._dynamo.config.patch(skip_nnmodule_hook_guards=True):
        assert torch.allclose(compiled(plain)(X), plain(X), atol=1e-6)
        model = pickle.loads(data)
        assert torch.allclose(compiled(model)(X), model(X), atol=1e-6)


def test_other_parts_may_be_compiled() -> None:
    model = nn.Sequential(Plain(), compiled(nn.ReLU()))
    other = compiled(Plain())
    assert attach(model, SE).ticket.connected == 5
    assert isinstance(other, nn.Module)


def test_a_scripted_part_of_a_block_is_refused() -> None:
    model = Plain()
    model.layer1[0].bn2 = torch.jit.script(model.layer1[0].bn2)
    with pytest.raises(ConfigError, match="found BatchNorm2d scripted"):
        attach(model, SE)
    assert not hasattr(model, "ticket")


@pytest.mark.parametrize(
    "frozen",
    [
        torch.jit.script,
        lambda model: torch.jit.trace(model, X),
        torch.fx.symbolic_trace,
        lambda model: torch.export.export(model, (X,)).module(),
    ],
    ids=["script", "trace", "fx", "export"],
)
def test_a_graph_has_no_blocks_any_more(frozen) -> None:
    with pytest.raises(ConfigError, match=r"no residual block.*attach\(\) before that"):
        attach(frozen(Plain().eval()), SE)


class _Blocks(torch.fx.Tracer):
    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return isinstance(module, BasicBlock) or super().is_leaf_module(module, name)


def test_in_a_graph_that_calls_the_blocks_hooks_run() -> None:
    torch.manual_seed(0)
    model = Plain().eval()
    graph = torch.fx.GraphModule(model, _Blocks().trace(model))
    attach(graph, SE)
    before = graph(X)
    with torch.no_grad():
        graph.attention.stage1.fc2.bias.add_(1.0)
    assert not torch.equal(graph(X), before)
