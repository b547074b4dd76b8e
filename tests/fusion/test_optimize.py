"""``optimize``: the same outputs from a network with fewer layers."""

from __future__ import annotations

import re
from contextlib import nullcontext
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from ean_transfer import EANError, attach, build_backbone, optimize
from ean_transfer.attachment.batchnorm import norms_of
from ean_transfer.attachment.network import find_ticket
from ean_transfer.errors import ConfigError
from ean_transfer.fusion import optimize as module
from ean_transfer.fusion.optimize import TOLERANCES, optimized

X = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0))


def small(**options: Any) -> nn.Module:
    torch.manual_seed(0)
    network = build_backbone("resnet8_cifar", dict(type="SE", reduction=4), **options)
    with torch.no_grad():
        for norm in map(network.get_submodule, norms_of(network)):
            norm.running_mean.normal_(0.0, 0.2)
            norm.running_var.uniform_(0.5, 1.5)
    return network


def test_batch_norm_and_attention_to_fold_go_and_the_model_stays() -> None:
    model = small(asr="before")
    model.bn1.eval()  # frozen, as many fine-tune
    before = {name: value.clone() for name, value in model.state_dict().items()}
    result = optimized(model, X, channels_last=False)

    assert len(result.folded_norms) == result.norms == 9 and result.folded_attention == 3
    assert norms_of(result.model) == [] and not result.model.training and model.training
    assert model.layer1.training and not model.bn1.training
    ticket = find_ticket(result.model)
    assert ticket is not None and not ticket.to_fold and sum(ticket.mask) == 3
    with torch.no_grad():
        torch.testing.assert_close(result.model(X), model.eval()(X), rtol=1e-4, atol=1e-5)
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())


def test_the_message_has_what_was_done_and_the_largest_difference(log_lines) -> None:
    model = optimize(attach(timm.create_model("test_resnet"), "SE"), X, channels_last=True)

    (line,) = (line for line in log_lines if "optimized for inference" in line)
    assert "15 of 15 BatchNorms folded, channels-last" in line
    assert float(re.findall(r"[\d.]+e-\d+", line)[0]) < 1e-5
    weight = model.conv1.weight if isinstance(model.conv1, nn.Conv2d) else model.conv1[0].weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


def test_the_layout_is_the_faster_one(monkeypatch: pytest.MonkeyPatch) -> None:
    for factor, expected in ((0.96, True), (0.98, False)):  # worth it from 3 % on
        times = {"as it is": [1.0, 2.0], "channels-last": [factor, 2.0 * factor]}
        monkeypatch.setattr(module, "forward_ms_in_turn", lambda *_, times=times, **__: times)
        assert optimized(small(), X).channels_last is expected


def test_a_network_that_needs_another_layout_keeps_it() -> None:
    class Viewed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x).view(len(x), -1)

    result = optimized(Viewed(), X)
    assert not result.channels_last and len(result.folded_norms) == 1


def test_outputs_that_would_differ_are_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def wrong(model: Any, _: Any) -> dict[str, str]:
        model.conv1.weight.mul_(1.01)
        return {}

    monkeypatch.setattr(module, "fold_norms", wrong)
    with pytest.raises(EANError, match="^TicketResNetCIFAR: expected the same .*is$"):
        optimize(small(), X, channels_last=False)


@pytest.mark.parametrize(("change", "taken"), [(0.9e-4, True), (1.1e-4, False)])
def test_outputs_may_differ_by_a_ten_thousandth_of_the_largest(
    monkeypatch: pytest.MonkeyPatch, change: float, taken: bool
) -> None:
    network = nn.Conv2d(3, 1, 1)
    nn.init.zeros_(network.weight)
    nn.init.constant_(network.bias, 2.0)
    monkeypatch.setattr(module, "fold_norms", lambda model, _: [model.bias.mul_(1 + change)][:0])
    with nullcontext() if taken else pytest.raises(EANError, match="at most 1e-04"):
        assert optimized(network, X).difference == pytest.approx(change, rel=0.01)


class Coarse(nn.Module):
    """Gives 2 everywhere, in numbers of fewer bits than those of its first parameter."""

    def __init__(self, dtype: torch.dtype) -> None:
        super().__init__()
        self.scale, self.conv = nn.Parameter(torch.ones(1)), nn.Conv2d(3, 1, 1, dtype=dtype)
        nn.init.zeros_(self.conv.weight)
        nn.init.constant_(self.conv.bias, 2.0)

    def forward(self, x: Tensor) -> Tensor:
        return self.conv((x * self.scale).to(self.conv.weight.dtype))


@pytest.mark.parametrize(
    ("dtype", "change", "taken"),
    [
        (torch.float16, 0.5e-2, True),
        (torch.float16, 2e-2, False),
        (torch.bfloat16, 5e-2, True),
        (torch.bfloat16, 1e-1, False),
    ],
)
def test_coarse_numbers_may_differ_by_some_of_their_steps(
    monkeypatch: pytest.MonkeyPatch, dtype: torch.dtype, change: float, taken: bool
) -> None:
    network = Coarse(dtype)
    monkeypatch.setattr(module, "fold_norms", lambda m, _: [m.conv.bias.mul_(1 + change)][:0])
    message = f"at most {TOLERANCES[dtype]:.0e}"
    with nullcontext() if taken else pytest.raises(EANError, match=message):
        optimized(network, X, channels_last=False)


def test_a_network_without_parameters_is_left_as_it_is() -> None:
    assert optimized(nn.Upsample(scale_factor=2), X, channels_last=False).difference == 0.0


class Detector(nn.Module):
    """Finds the pixels that are larger than a threshold, one more once its BatchNorm is folded."""

    def __init__(self, threshold: float) -> None:
        super().__init__()
        self.conv, self.norm = nn.Conv2d(3, 1, 1, bias=False), nn.BatchNorm2d(1)
        self.threshold = threshold

    def forward(self, x: Tensor) -> list[dict[str, Tensor]]:
        scores = self.norm(self.conv(x)).flatten() + 10 * isinstance(self.norm, nn.Identity)
        return [{"scores": scores[scores > self.threshold]}]


@pytest.mark.parametrize(
    ("threshold", "message"), [(3.0, "differ by inf"), (99.0, "found none with values")]
)
def test_outputs_of_another_number_or_without_values_are_refused_in_one_line(
    threshold: float, message: str
) -> None:
    torch.manual_seed(0)
    with pytest.raises(EANError, match=message):
        optimize(Detector(threshold), 5 * torch.randn(1, 3, 8, 8), channels_last=False)


@pytest.mark.slow  # compiles
def test_a_compiled_result_computes_the_same_and_a_compiled_network_is_refused() -> None:
    model = small()
    with pytest.raises(ConfigError, match=r"optimize\(\) on the model itself first"):
        optimize(torch.compile(model), X)
    result = optimized(model, X, compiled=True)
    assert result.compiled and isinstance(result.model, nn.Module)
    with torch.no_grad():
        torch.testing.assert_close(result.model(X), model.eval()(X), rtol=1e-4, atol=1e-5)
