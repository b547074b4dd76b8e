"""Copies under masks share the network's weights, and compiled each runs its own mask."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.nn.utils import prune

from ean_transfer import attach
from ean_transfer.analysis import variants
from ean_transfer.analysis.latency import measure_latency
from ean_transfer.analysis.variants import compiled_alone, shared_copy, under_masks
from ean_transfer.attachment.network import find_backbone
from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import ConfigError
from tests.attachment.networks import SE, Plain

X = torch.rand(2, 3, 16, 16)


@pytest.fixture(autouse=True)
def _forget_compiled_code():
    yield
    torch._dynamo.reset()


@pytest.fixture
def traced(monkeypatch):
    """Compile by tracing alone, which takes no minutes: the code is torch's own, eager."""
    monkeypatch.setattr(variants.torch, "compile", partial(torch.compile, backend="eager"))


@pytest.mark.parametrize(
    "model",
    [TicketResNetCIFAR(8, SE, base_channels=4), attach(Plain(), SE)],
    ids=["ticketed", "attached"],
)
def test_each_copy_runs_its_mask_with_the_models_weights(model, traced) -> None:
    model.eval()
    backbone = find_backbone(model)
    blocks = backbone.ticket.num_blocks
    masks = [tuple(bool(n >> i & 1) for i in range(blocks)) for n in (0, 1, 2**blocks - 1)]
    for compiled, some in ((False, masks), (True, masks[1:])):
        forwards = under_masks(model, some, (X,), compiled=compiled)
        with torch.no_grad():
            next(model.parameters()).add_(0.1)
            for mask, forward in forwards.items():
                backbone.set_mask(mask)
                torch.testing.assert_close(forward(X), model(X))


@pytest.mark.slow
def test_many_masks_are_compiled_each(traced) -> None:
    # More than torch compiles of one function before it gives up without a word.
    model = attach(Plain(), SE).eval()
    masks = [tuple(bool(n >> i & 1) for i in range(5)) for n in range(0, 32, 3)]
    forwards = under_masks(model, masks, (X,), compiled=True)
    with torch.no_grad():
        for mask, forward in forwards.items():
            find_backbone(model).set_mask(mask)
            torch.testing.assert_close(forward(X), model(X))
    assert torch._dynamo.utils.counters["stats"]["unique_graphs"] >= len(masks)


def test_a_model_that_is_no_single_graph_is_refused() -> None:
    class Printing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = attach(Plain(), SE)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            torch._dynamo.graph_break()
            return self.body(x)

    with pytest.raises(ConfigError, match="cannot compile Printing as one graph") as error:
        under_masks(Printing().eval(), [(True,) * 5], (X,), compiled=True)
    assert "\n" not in str(error.value)


def test_a_model_may_keep_results_of_its_last_forward() -> None:
    class Keeping(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = attach(Plain(), SE)
            prune.l1_unstructured(self.body.attention["stage1"].fc1, "weight", amount=0.5)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.features = self.body(x)
            return self.features

    model = Keeping()
    kept = model(X)
    copied = shared_copy(model)
    assert torch.equal(copied(X), model.eval()(X)) and copied.features is not kept
    assert measure_latency(model, X, rounds=2).ms > 0
    model(X).sum().backward()


def test_copies_hold_no_second_set_of_weights() -> None:
    model = attach(Plain(), SE)
    copied = shared_copy(model)
    pairs = zip(copied.state_dict(keep_vars=True), model.state_dict(keep_vars=True), strict=True)
    assert all(name == other for name, other in pairs)
    assert all(
        ours is theirs for ours, theirs in zip(copied.parameters(), model.parameters(), strict=True)
    )
    assert not copied.training and model.training


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("no compiler\nmore lines", "no compiler$"),
        ("/tmp/torchinductor_me/a.so: file too short", "torn files: remove this one$"),
    ],
)
def test_what_torch_cannot_compile_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, message: str, said: str
) -> None:
    def broken(graph, inputs):
        raise RuntimeError(message)

    monkeypatch.setattr(variants.torch, "compile", partial(torch.compile, backend=broken))
    with pytest.raises(ConfigError, match=f"cannot compile Plain as one graph: .*{said}") as error:
        compiled_alone(Plain(), (X,))
    assert "\n" not in str(error.value)
