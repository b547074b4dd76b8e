"""``memory="lean"``: attention is computed again in the backward pass, with the same results."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
from torch import Tensor, nn

from ean_transfer import attach, build_backbone
from ean_transfer.analysis.memory import bytes_saved_for_backward
from ean_transfer.errors import ConfigError
from ean_transfer.registry import ATTENTION

OPTIONS: dict[str, dict[str, Any]] = {
    **dict.fromkeys(("SE", "SEM", "CBAM", "DIA", "SPA"), {"reduction": 4}),
    "SGE": {"groups": 4},
    "LSAS": {"reduction": 4, "n": 2},
}
NAMES = sorted(set(ATTENTION.module_dict) - {"ASR"})


def own(name: str, **kwargs: Any) -> Callable[[str, dict[str, Any]], nn.Module]:
    return lambda memory, attention: build_backbone(
        name, attention, zero_init_residual=False, memory=memory, **kwargs
    )


def attached(name: str, **kwargs: Any) -> Callable[[str, dict[str, Any]], nn.Module]:
    return lambda memory, attention: attach(
        timm.create_model(name, **kwargs), attention, memory=memory
    )


BUILDERS = {
    "basic": own("resnet14_cifar", base_channels=8),
    "bottleneck": own("resnet50", base_channels=8, stem_channels=8),
    "asr": own("resnet14_cifar", base_channels=8, asr="before"),
    "pre-activation": own("preresnet14_cifar", base_channels=8),
    "timm's ResNet": attached("resnet10t", num_classes=2),
    "timm's ConvNeXt": attached("convnext_atto", num_classes=2, depths=(1, 1, 1, 1)),
}
CASES = [("basic", name) for name in NAMES] + [
    (network, name)
    for network in list(BUILDERS)[1:]
    for name in ("SE", "DIA", "CBAM")
    if (network, name) != ("asr", "CBAM")  # has no weights per channel
]


def pair(network: str, attention: str) -> list[nn.Module]:
    """The network with memory "default" and the same with "lean", of equal values."""
    networks = []
    for memory in ("default", "lean"):
        torch.manual_seed(0)
        spec = {"type": attention} | OPTIONS.get(attention, {})
        networks.append(BUILDERS[network](memory, spec).train())
    networks[1].load_state_dict(networks[0].state_dict())
    return networks


def output(network: nn.Module, x: Tensor) -> Tensor:
    """The last map or the logits."""
    y = network(x)
    return y[-1] if isinstance(y, tuple) else y


def images(size: int = 32) -> Tensor:
    return torch.randn(4, 3, size, size, generator=torch.Generator().manual_seed(1))


def train(network: nn.Module, steps: int, x: Tensor) -> list[Tensor]:
    """Train, and return the outputs of all steps."""
    optimizer = torch.optim.SGD(network.parameters(), lr=0.01, momentum=0.9)
    outputs = []
    for _ in range(steps):
        outputs.append(output(network, x))
        outputs[-1].square().mean().backward()
        optimizer.step()
        optimizer.zero_grad()
    return outputs


@pytest.mark.parametrize(("network", "attention"), CASES)
def test_training_is_the_same_bit_for_bit(network: str, attention: str) -> None:
    default, lean = pair(network, attention)
    for a, b in zip(train(default, 2, images()), train(lean, 2, images()), strict=True):
        assert torch.equal(a, b)
    for key, value in default.state_dict().items():  # with the running statistics
        assert torch.equal(value, lean.state_dict()[key]), key


@pytest.mark.parametrize("attention", NAMES)
def test_no_more_is_kept_than_without_attention(attention: str) -> None:
    spec = {"type": attention} | OPTIONS.get(attention, {})
    kept = {}
    for ticket, memory in (("none", "default"), ("full", "lean"), ("full", "default")):
        network = build_backbone("resnet50", spec, ticket=ticket, memory=memory, base_channels=16)
        kept[ticket, memory] = bytes_saved_for_backward(network, images(64))
    assert kept["full", "lean"] <= 1.04 * kept["none", "default"]
    assert kept["full", "default"] >= 1.2 * kept["none", "default"]


def test_on_networks_of_others_about_as_little_is_kept() -> None:
    plain = bytes_saved_for_backward(timm.create_model("resnet10t"), images(64))
    for attention in ("SE", "CBAM"):
        networks = pair("timm's ResNet", attention)
        default, lean = (bytes_saved_for_backward(network, images(64)) for network in networks)
        assert lean <= 1.02 * plain < 1.05 * plain < default


def test_second_derivatives_are_the_same() -> None:
    def second(network: nn.Module) -> Tensor:
        x = images().requires_grad_()
        (slope,) = torch.autograd.grad(output(network, x).square().mean(), x, create_graph=True)
        return torch.autograd.grad(slope.square().sum(), x)[0]

    default, lean = pair("basic", "SE")
    assert torch.allclose(second(default), second(lean), rtol=1e-4)


@pytest.mark.parametrize("network", ["basic", "timm's ResNet"])
def test_under_autocast_channels_last_and_in_copies(network: str) -> None:
    default, lean = (n.to(memory_format=torch.channels_last) for n in pair(network, "SE"))
    with torch.autocast("cpu", torch.bfloat16):
        expected = train(default, 2, images())
        outputs = train(copy.deepcopy(lean), 2, images())
    assert all(torch.equal(a, b) for a, b in zip(expected, outputs, strict=True))


@pytest.mark.slow
def test_compiled_it_is_one_graph_of_the_plain_formula() -> None:
    default, lean = pair("basic", "SE")
    compiled = torch.compile(lean, backend="aot_eager", fullgraph=True)
    for a, b in zip(train(default, 2, images()), train(compiled, 2, images()), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_checkpointed_blocks_count_a_batch_once() -> None:
    torch.manual_seed(0)
    network = build_backbone("resnet14_cifar", "SE", base_channels=16)
    checkpointed = build_backbone("resnet14_cifar", "SE", base_channels=16, with_cp=True)
    checkpointed.load_state_dict(network.state_dict())
    train(network.train(), 2, images())
    train(checkpointed.train(), 2, images())
    for key, value in network.state_dict().items():
        assert torch.equal(value, checkpointed.state_dict()[key]), key


def test_other_values_are_refused() -> None:
    with pytest.raises(ConfigError, match="'lean', found 'low'"):
        build_backbone("resnet20_cifar", "SE", memory="low")
    with pytest.raises(ConfigError, match="'lean', found 'low'"):
        attach(timm.create_model("resnet10t"), "SE", memory="low")
