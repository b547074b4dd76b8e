"""What a config says of an attention: names, options and their defaults, and what is refused."""

from __future__ import annotations

import pytest
import torch

from ean_transfer import build_backbone
from ean_transfer.attention import SE, SGE, Attention, CoordAtt, attention_options, build_attention
from ean_transfer.errors import ConfigError


@pytest.mark.parametrize(
    ("name", "defaults"),
    [
        ("CBAM", {"reduction": 16, "kernel_size": 7}),
        ("CoordAtt", {"reduction": 32}),
        ("DIA", {"reduction": 20}),
        ("ECA", {"gamma": 2, "beta": 1}),
        ("IE", {}),
        ("LSAS", {"reduction": 16, "n": 1}),
        ("SE", {"reduction": 16}),
        ("SEM", {"reduction": 16, "gamma": 2, "beta": 1}),
        ("SGE", {"groups": 64}),
        ("SPA", {"reduction": 16}),
        ("SRM", {}),
        ("SimAM", {"e_lambda": 1e-4}),
    ],
)
def test_defaults_are_those_of_the_papers(name: str, defaults: dict) -> None:
    assert attention_options(name) == (name, defaults)
    types = [type(value) for value in attention_options(name)[1].values()]
    assert types == [type(value) for value in defaults.values()]  # 2 and 2.0 give other ids


def test_options_have_their_defaults_filled_in() -> None:
    assert attention_options({"type": SGE, "groups": 8}) == ("SGE", {"groups": 8})
    assert attention_options({"type": "CBAM", "kernel_size": 3})[1] == {
        "reduction": 16,
        "kernel_size": 3,
    }
    # A config that was dumped names a class with its module.
    assert attention_options("ean_transfer.attention.SE") == attention_options(SE)
    _, options = attention_options(dict(type="SimAM", e_lambda=1))
    assert type(options["e_lambda"]) is float


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("SEE", "unknown attention 'SEE'.*CBAM, CoordAtt, DIA.*SE, SEM, SGE"),
        (None, "unknown attention None"),
        (dict(type="SE", groups=2), "SE: .*'groups'.* options are reduction"),
        (dict(type="IE", groups=2), "IE: .*'groups'.* options are none"),
        (dict(type="SE", reduction=4.0), "SE: reduction: .*integer.*found 4.0"),
        (dict(type="SE", reduction="8"), "SE: reduction: .*integer.*found '8'"),
        (dict(type="SE", reduction=True), "SE: reduction: .*integer.*found True"),
        (dict(type="SimAM", e_lambda="1e-4"), "SimAM: e_lambda: .*number.*found '1e-4'"),
    ],
)
def test_unknown_names_and_other_types_are_refused(spec: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attention_options(spec)


@pytest.mark.parametrize(
    ("spec", "channels", "words"),
    [
        (dict(type="CBAM", reduction=16), 24, ["CBAM", "reduction=16", "24"]),
        (dict(type="CBAM", kernel_size=6), 16, ["CBAM", "kernel_size", "odd", "6"]),
        (dict(type="CBAM", kernel_size=-1), 16, ["CBAM", "kernel_size", "-1"]),
        (dict(type="CoordAtt", reduction=32), 272, ["CoordAtt", "reduction=32", "272"]),
        (dict(type="CoordAtt", reduction=0), 16, ["CoordAtt", "reduction", "0"]),
        (dict(type="DIA", reduction=20), 16, ["DIA", "reduction=20", "16"]),
        (dict(type="ECA", gamma=0), 16, ["ECA", "gamma", "0"]),
        (dict(type="LSAS", reduction=5), 16, ["reduction=5", "16"]),
        (dict(type="LSAS", n=-1), 16, ["LSAS", "n:", "-1"]),
        (dict(type="SE", reduction=16), 24, ["SE", "reduction=16", "24"]),
        (dict(type="SEM", reduction=0), 16, ["SE", "reduction", "0"]),
        (dict(type="SEM", gamma=-2), 16, ["ECA", "gamma", "-2"]),
        (dict(type="SGE", groups=64), 100, ["SGE", "groups=64", "100"]),
        (dict(type="SPA", reduction=16), 8, ["SPA", "reduction=16", "8 channels"]),
        (dict(type="SimAM", e_lambda=0), 16, ["SimAM", "e_lambda", "0"]),
    ],
    ids=lambda value: "",
)
def test_what_does_not_fit_the_channels_is_named(
    spec: dict, channels: int, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        build_attention(spec, channels)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


HIDDEN = {
    "SE": lambda m: m.fc1.out_features,
    "CBAM": lambda m: m.fc1.out_features,
    "SPA": lambda m: m.fc1.out_features,
    "LSAS": lambda m: m.se.fc1.out_features,
    "SEM": lambda m: m.se.fc1.out_features,
    "CoordAtt": lambda m: m.conv.out_channels,
}


@pytest.mark.parametrize("name", HIDDEN)
@pytest.mark.parametrize("reduction", [1, 4, 16])
@pytest.mark.parametrize("channels", [24, 40, 80, 104, 112, 192])
def test_hidden_channels_are_rounded_as_timms_are(name: str, channels: int, reduction: int) -> None:
    timm = pytest.importorskip("timm.layers")
    spec = dict(type=name, reduction=reduction, hidden_divisor=8)
    module = build_attention(spec, channels)
    assert HIDDEN[name](module) == timm.make_divisible(channels / reduction, 8)
    assert attention_options(spec)[1]["hidden_divisor"] == 8
    assert module(torch.randn(2, channels, 4, 4))[0].shape == (2, channels, 4, 4)


@pytest.mark.parametrize("divisor", [0, 2.5, "8"])
def test_what_is_no_divisor_is_refused(divisor: object) -> None:
    with pytest.raises(ConfigError, match="SE: hidden_divisor"):
        build_attention(dict(type="SE", hidden_divisor=divisor), 16)


def test_coordatts_reduction_does_not_matter_where_8_hidden_channels_are_more() -> None:
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
    with pytest.raises(ConfigError, match="NoDefault: field 'k' is missing"):
        build_backbone("resnet8_cifar", NoDefault)
