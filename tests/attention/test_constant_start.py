"""Modules that start as the multiplication by a constant."""

from __future__ import annotations

import pytest
import torch

from ean_transfer.attention import LSAS, Attention, SimAM
from ean_transfer.errors import ConfigError

CONSTANTS = {
    "CBAM": 1 / 4,
    "CoordAtt": 1 / 4,
    "DIA": 1 / 4,
    "ECA": 1 / 2,
    "IE": 0.2689414213699951,  # sigma(-1)
    "LSAS": 0.5 * 0.3775406687981454 * 0.320821300824607,  # sigma of 0, -1/2 and -3/4
    "SE": 1 / 2,
    "SEM": 1 / 8,
    "SGE": 0.7310585786300049,  # sigma(1)
    "SPA": 1 / 2,
    "SRM": 1 / 2,
}


@pytest.mark.parametrize("name", CONSTANTS)
@pytest.mark.parametrize("training", [True, False])
def test_any_branch_is_multiplied_by_the_constant(
    trained: Attention, name: str, training: bool
) -> None:
    constant = trained.train(training).init_constant()
    assert constant == pytest.approx(CONSTANTS[name], abs=1e-12)
    state = None
    for scale, size in ((1, (5, 7)), (100, (5, 7)), (1e-3, (1, 1)), (1, (33, 33))):
        x = scale * torch.randn(2, 16, *size)
        y, state = trained(x, state)  # a stage's blocks in a row
        torch.testing.assert_close(y, constant * x, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", CONSTANTS)
def test_all_that_was_set_to_zero_gets_a_gradient(trained: Attention) -> None:
    trained.init_constant()
    zeroed = [p for p in trained.parameters() if p.eq(0).all()]
    (trained(torch.randn(4, 16, 6, 6))[0] * torch.randn(4, 16, 6, 6)).sum().backward()
    assert zeroed and all(p.grad.ne(0).any() for p in zeroed)


@pytest.mark.parametrize("name", CONSTANTS)
def test_training_leaves_it_and_not_at_once(build) -> None:
    torch.manual_seed(0)
    module: Attention = build()
    constant = module.init_constant()
    x, direction = torch.randn(8, 16, 6, 6), torch.randn(8, 16, 6, 6)
    optimizer = torch.optim.SGD(module.parameters(), lr=0.01)
    (module(x)[0] * direction).mean(dim=(2, 3)).sum(dim=1).mean().backward()
    optimizer.step()
    with torch.no_grad():
        gates = module(x)[0] / x
    assert 1e-6 < (gates - constant).abs().max() < 0.01


def test_lsas_without_sub_attentions_starts_as_se() -> None:
    assert LSAS(16, 4, n=0).init_constant() == 0.5
    assert LSAS(16, 4).init_constant() == pytest.approx(0.5 * 0.3775406687981454)


def test_simam_cannot() -> None:
    with pytest.raises(ConfigError, match="SimAM cannot start as a constant"):
        SimAM(16).init_constant()


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("CBAM", ["fc1.weight", "fc1.bias", "conv.weight"]),
        ("CoordAtt", ["conv.weight", "conv.bias", "bn.weight", "bn.bias"]),
        ("DIA", ["input_gates.0.weight", "hidden_gates.0.bias"]),
        ("LSAS", ["se.fc1.weight", "sub_weights.0", "sub_biases.1"]),
        ("SE", ["fc1.weight", "fc1.bias"]),
        ("SEM", ["switch.weight", "switch.bias", "se.fc1.weight"]),
        ("SPA", ["fc1.weight"]),
    ],
)
def test_values_that_do_not_matter_are_kept(kept: list[str], build) -> None:
    module: Attention = build()
    before = {key: value.clone() for key, value in module.state_dict().items()}
    module.init_constant()
    for key in kept:
        assert torch.equal(module.state_dict()[key], before[key])
