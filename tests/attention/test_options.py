"""Options that do not fit are refused when a module is built."""

from __future__ import annotations

import pytest
import torch

from ean_transfer import build_backbone
from ean_transfer.attention import Attention, CoordAtt, build_attention
from ean_transfer.errors import ConfigError


@pytest.mark.parametrize(
    ("spec", "channels", "words"),
    [
        ({"type": "CBAM", "reduction": 16}, 24, ["CBAM", "reduction=16", "24"]),
        ({"type": "CBAM", "kernel_size": 6}, 16, ["CBAM", "kernel_size=6", "odd"]),
        ({"type": "CBAM", "kernel_size": -1}, 16, ["CBAM", "kernel_size=-1", "positive"]),
        ({"type": "CoordAtt", "reduction": 32}, 272, ["CoordAtt", "reduction=32", "272"]),
        ({"type": "CoordAtt", "reduction": 0}, 16, ["CoordAtt", "reduction=0", "16"]),
        ({"type": "ECA", "beta": 100}, 16, ["ECA", "beta=100", "53", "16 channels"]),
        ({"type": "ECA", "gamma": 0}, 16, ["ECA", "gamma=0", "positive"]),
        ({"type": "LSAS", "reduction": 5}, 16, ["LSAS", "reduction=5", "16"]),
        ({"type": "LSAS", "n": -1}, 16, ["LSAS", "n=-1", "0 or more"]),
        ({"type": "SEM", "reduction": 0}, 16, ["SEM", "reduction=0", "16"]),
        ({"type": "SEM", "gamma": -2}, 16, ["ECA", "gamma=-2"]),
        ({"type": "SPA", "reduction": 16}, 8, ["SPA", "reduction=16", "8 channels"]),
        ({"type": "SimAM", "e_lambda": 0}, 16, ["SimAM", "e_lambda=0", "positive"]),
    ],
    ids=lambda value: None,
)
def test_what_does_not_fit_is_named(spec: dict, channels: int, words: list[str]) -> None:
    with pytest.raises(ConfigError) as error:
        build_attention(spec, channels)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


def test_coordatts_reduction_does_not_matter_where_8_hidden_channels_are_the_more() -> None:
    assert CoordAtt(24, reduction=32).conv.out_channels == 8


def test_a_module_that_breaks_the_contract_is_named() -> None:
    class NoState(Attention):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x, state=None):
            return x

    class NoDefault(NoState):
        def __init__(self, channels: int, k: int) -> None:
            super().__init__(channels)

    net = build_backbone("resnet8_cifar", NoState, base_channels=4)
    with pytest.raises(ConfigError, match="NoState.forward: expected .* state, found Tensor"):
        net(torch.zeros(2, 3, 16, 16))
    with pytest.raises(ConfigError, match="NoDefault: its option k has no default"):
        build_backbone("resnet8_cifar", NoDefault)
    with pytest.raises(ConfigError, match="expected its option reduction as int.*found '8'"):
        build_attention({"type": "SE", "reduction": "8"}, 16)
