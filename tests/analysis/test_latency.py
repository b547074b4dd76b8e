"""Forward times are compared within a round, and masks with the plain network."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy.stats import quantile_test
from torch import nn

from ean_transfer import attach
from ean_transfer.analysis import latency
from ean_transfer.analysis.latency import (
    compare_latencies,
    measure_latency,
    median_interval,
    quartiles,
)
from ean_transfer.attachment.network import find_backbone
from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import ConfigError
from ean_transfer.ticket import TicketError
from tests.attachment.networks import SE, Plain

X = torch.rand(1, 3, 16, 16)


def ticketed() -> nn.Module:
    return TicketResNetCIFAR(8, SE, base_channels=4)


def attached() -> nn.Module:
    return attach(Plain(), SE)


@pytest.fixture
def slow_attention(monkeypatch):
    """A machine that gets slower with each round; each connection takes a tenth of plain."""
    masks: list[tuple[bool, ...]] = []

    def ms(variant: nn.Module, *_: object) -> float:
        mask = find_backbone(variant).mask
        masks.append(mask)
        return masks.count(mask) * (1 + 0.1 * sum(mask))

    monkeypatch.setattr(latency, "forward_ms", ms)
    return masks


def test_ratios_are_taken_within_a_round(monkeypatch) -> None:
    # A machine that gets slower all the time; the second model takes half as long again.
    plain, attended = nn.Identity(), nn.Identity()
    calls = {id(plain): 0, id(attended): 0}

    def ms(model: nn.Module, *_: object) -> float:
        calls[id(model)] += 1
        return calls[id(model)] * (1.5 if model is attended else 1.0)

    monkeypatch.setattr(latency, "forward_ms", ms)
    times = compare_latencies(
        {"none": plain, "full": attended}, torch.zeros(1), plain="none", rounds=9, warm_up=3
    )
    assert times["none"].over_plain == 0.0 and times["none"].ms == 8
    assert times["full"].over_plain == 0.5 and times["full"].over_plain_quartiles == (0.5, 0.5)


def test_models_are_timed_in_eval_mode() -> None:
    modes: list[bool] = []
    model = nn.Identity().train()
    model.register_forward_hook(lambda module, *_: modes.append(module.training))
    compare_latencies({"a": model}, torch.zeros(4), plain="a", rounds=2, warm_up=1)
    assert modes == [False] * 3


@pytest.mark.parametrize(("device", "waits"), [("cpu", 0), ("cuda", 1), ("mps", 1), ("xpu", 1)])
def test_the_clock_waits_for_any_accelerator(monkeypatch, device: str, waits: int) -> None:
    waited: list[torch.device] = []
    monkeypatch.setattr(torch.accelerator, "synchronize", waited.append)
    latency.clock(torch.device(device))
    assert waited == [torch.device(device)] * waits


def test_quartiles_are_numpys() -> None:
    values = [5.0, 1.0, 2.0, 9.0, 3.0]
    assert quartiles(values) == pytest.approx(tuple(np.quantile(values, [0.25, 0.75])))


@pytest.mark.parametrize("model", [ticketed(), attached()], ids=["ticketed", "attached"])
def test_masks_are_compared_with_plain_in_the_same_round(model, slow_attention) -> None:
    blocks = find_backbone(model).ticket.num_blocks
    none, one, full = (tuple(i < n for i in range(blocks)) for n in (0, 1, blocks))
    latencies = measure_latency(model, X, [full, one, none], rounds=6)
    assert [round(one.over_plain, 6) for one in latencies] == [round(0.1 * blocks, 6), 0.1, 0.0]
    assert latencies[0].ms > latencies[1].ms > latencies[2].ms
    # Round by round all of them, plain once, also where it is asked for.
    assert all(set(slow_attention[i : i + 3]) == {none, one, full} for i in range(0, 27, 3))


def test_the_mask_that_is_set_is_measured_by_default(slow_attention) -> None:
    model = attached()
    find_backbone(model).set_mask([1, 0, 0, 1, 0])
    assert measure_latency(nn.Sequential(model), X, rounds=2).over_plain == pytest.approx(0.2)


def test_a_model_without_attention_is_simply_timed() -> None:
    time = measure_latency(Plain(), X, rounds=3)
    assert time.ms > 0 and time.quartiles[0] <= time.ms <= time.quartiles[1]
    assert time.over_plain == 0.0


def test_a_model_may_take_other_arguments_than_one_tensor() -> None:
    class Detector(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.body = attached()

        def forward(self, images: list[torch.Tensor], scale: float) -> list[torch.Tensor]:
            return [scale * self.body(image[None]) for image in images]

    assert measure_latency(Detector(), ([X[0], X[0]], 2.0), [[1] * 5], rounds=2)[0].ms > 0


@pytest.mark.parametrize("model", [ticketed(), attached()], ids=["ticketed", "attached"])
def test_the_model_is_left_as_it_was(model) -> None:
    model.train()
    backbone = find_backbone(model)
    backbone.set_mask([1] + [0] * (backbone.ticket.num_blocks - 1))
    mask, hooks = backbone.mask, [len(m._forward_hooks) for m in model.modules()]
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.random.get_rng_state()
    measure_latency(model, X, [[1] * backbone.ticket.num_blocks], rounds=2)
    assert backbone.mask == mask and all(module.training for module in model.modules())
    assert [len(m._forward_hooks) for m in model.modules()] == hooks
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert torch.equal(random, torch.random.get_rng_state())


def test_what_cannot_be_measured_is_refused() -> None:
    with pytest.raises(ConfigError, match="rounds"):
        measure_latency(attached(), X, rounds=1)
    with pytest.raises(TicketError, match="5 blocks"):
        measure_latency(attached(), X, [[1, 0]], rounds=2)
    with pytest.raises(ConfigError, match="no ticketed backbone"):
        measure_latency(Plain(), X, [[1, 0]], rounds=2)


@pytest.mark.parametrize("number", [6, 7, 20, 41])
def test_the_interval_of_a_median_is_scipys(number: int) -> None:
    values = np.random.default_rng(0).lognormal(size=number)
    assert median_interval(values) == quantile_test(values, p=0.5).confidence_interval(0.95)
    assert median_interval([3.0, 1.0, 2.0]) == (1.0, 3.0)  # too few for one: their range
