"""Each attention module against its formula."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ean_transfer.attention import DIA, SE, SGE, attention_options, build_attention
from ean_transfer.errors import ConfigError


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@given(groups=st.integers(1, 8), reduction=st.integers(1, 8))
@settings(max_examples=20, deadline=None)
def test_parameter_counts_follow_the_formulas(groups: int, reduction: int) -> None:
    c, r = groups * reduction * 2, reduction
    h = c // r
    assert parameters(SE(c, r)) == 2 * c * h + h + c
    assert parameters(SGE(c, groups)) == 2 * groups
    assert parameters(DIA(c, r)) == 2 * (c * h + h + 4 * c * h + 4 * c)


def test_dia_rounds_its_hidden_width_down() -> None:
    # The published reduction, 20, does not divide ResNet-50's 256 channels.
    c, h = 256, 12
    assert parameters(DIA(c, 20)) == 2 * (c * h + h + 4 * c * h + 4 * c)


@pytest.mark.parametrize("name", ["SE", "SGE", "DIA"])
@pytest.mark.parametrize("size", [(1, 1), (5, 7)])
def test_shape_is_kept_and_values_are_finite(name: str, size: tuple[int, int]) -> None:
    options = {"groups": 4} if name == "SGE" else {"reduction": 4}
    module = build_attention({"type": name, **options}, 16)
    x = torch.randn(2, 16, *size, requires_grad=True)
    y, _ = module(x)
    y.sum().backward()
    assert y.shape == x.shape
    assert torch.isfinite(y).all() and torch.isfinite(x.grad).all()


def test_se_formula_in_float64() -> None:
    module = SE(8, 2).double()
    x = torch.randn(3, 8, 4, 5, dtype=torch.float64)
    pooled = x.mean((2, 3))
    hidden = (pooled @ module.fc1.weight.T + module.fc1.bias).clamp(min=0)
    s = 1 / (1 + torch.exp(-(hidden @ module.fc2.weight.T + module.fc2.bias)))
    torch.testing.assert_close(module(x)[0], x * s[:, :, None, None])


def test_sge_formula_in_float64() -> None:
    module = SGE(6, 2).double()
    with torch.no_grad():
        module.weight.copy_(torch.tensor([0.5, -1.0]).view(1, 2, 1, 1))
        module.bias.copy_(torch.tensor([0.3, 0.1]).view(1, 2, 1, 1))
    x = torch.randn(2, 6, 3, 4, dtype=torch.float64)
    expected = torch.empty_like(x)
    for n in range(2):
        for g in range(2):
            part = x[n, 3 * g : 3 * g + 3]
            t = sum(part[c] * part[c].mean() for c in range(3))
            t = (t - t.mean()) / (t.std(unbiased=True) + 1e-5)
            gate = torch.sigmoid(module.weight[0, g] * t + module.bias[0, g])
            expected[n, 3 * g : 3 * g + 3] = part * gate
    torch.testing.assert_close(module(x)[0], expected)


def test_sge_starts_at_the_spec_and_is_defined_on_one_pixel() -> None:
    module = SGE(4, 2)
    assert module.weight.eq(0).all() and module.bias.eq(1).all()
    with torch.no_grad():
        module.weight.fill_(3.0)
    x = torch.randn(2, 4, 1, 1)
    torch.testing.assert_close(module(x)[0], x * torch.sigmoid(torch.tensor(1.0)))


def test_dia_formula_over_two_blocks_in_float64() -> None:
    module = DIA(4, 2).double()
    first, second = (torch.randn(3, 4, 2, 2, dtype=torch.float64) for _ in range(2))
    hidden = cell = torch.zeros(3, 4, dtype=torch.float64)
    state = None
    for x in (first, second):
        gates = module.input_gates(x.mean((2, 3))) + module.hidden_gates(hidden)
        i, f, g, o = (gates[:, 4 * k : 4 * k + 4] for k in range(4))
        cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
        hidden = torch.sigmoid(o) * torch.sigmoid(cell)
        y, state = module(x, state)
        torch.testing.assert_close(y, x * hidden[:, :, None, None])


@pytest.mark.parametrize(
    ("spec", "channels", "words"),
    [
        ({"type": "SE", "reduction": 16}, 24, ["reduction=16", "24"]),
        ({"type": "SGE", "groups": 64}, 100, ["groups=64", "100"]),
        ({"type": "DIA", "reduction": 20}, 16, ["reduction=20", "16"]),
    ],
)
def test_options_that_do_not_fit_the_channels_name_both_numbers(
    spec: dict, channels: int, words: list[str]
) -> None:
    with pytest.raises(ConfigError) as error:
        build_attention(spec, channels)
    assert all(word in str(error.value) for word in words)


def test_unknown_attention_and_option_name_what_there_is() -> None:
    with pytest.raises(
        ConfigError, match="unknown attention 'SEE'.*CBAM, CoordAtt, DIA.*SE, SEM, SGE"
    ):
        attention_options("SEE")
    with pytest.raises(ConfigError, match="SE has no option groups.*reduction"):
        attention_options({"type": "SE", "groups": 2})


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        (dict(type="SE", reduction=4.0), "SE: expected its option reduction as int.*found 4.0"),
        (dict(type="SimAM", e_lambda="1e-4"), "e_lambda as float.*found '1e-4'"),
        (dict(type="SE", reduction=True), "reduction as int.*found True"),
    ],
)
def test_options_of_another_type_are_refused(spec: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        attention_options(spec)


def test_whole_numbers_are_floats_where_those_are_expected() -> None:
    _, options = attention_options(dict(type="SimAM", e_lambda=1))
    assert type(options["e_lambda"]) is float


def test_a_dumped_class_has_its_name() -> None:
    assert attention_options("ean_transfer.attention.SE") == attention_options(SE)


def test_options_have_their_defaults_filled_in() -> None:
    assert attention_options("SE") == ("SE", {"reduction": 16})
    assert attention_options({"type": SGE, "groups": 8}) == ("SGE", {"groups": 8})
