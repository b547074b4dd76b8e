"""How many parameters each module has, and which values they have at first."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ean_transfer.attention import CBAM, DIA, ECA, IE, LSAS, SE, SEM, SGE, SPA, SRM, CoordAtt, SimAM


def parameters(module: torch.nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@given(hidden=st.integers(1, 6), r=st.integers(1, 6), n=st.integers(0, 3))
@settings(max_examples=20)
def test_parameter_counts_follow_the_formulas(hidden: int, r: int, n: int) -> None:
    c, h = hidden * r, hidden
    se = 2 * c * h + h + c
    assert parameters(SE(c, r)) == se
    assert parameters(SGE(c, r)) == 2 * r
    assert parameters(DIA(c, r)) == 2 * (c * h + h + 4 * c * h + 4 * c)
    assert parameters(CBAM(c, r)) == se + 98 + 2
    assert parameters(CBAM(c, r, kernel_size=3)) == se + 18 + 2
    assert parameters(SPA(c, r)) * r == 22 * c * c
    assert parameters(IE(c)) == 2 * c
    assert parameters(SRM(c)) == 4 * c
    assert parameters(SimAM(c)) == 0
    assert parameters(LSAS(c, r, n)) == se + 2 * c * n
    assert parameters(SEM(c, r)) == 3 * c + 3 + se + parameters(ECA(c)) + 2 * c


def test_dia_rounds_its_hidden_width_down() -> None:
    # The published reduction, 20, does not divide ResNet-50's 256 channels.
    c, h = 256, 12
    assert parameters(DIA(c, 20)) == 2 * (c * h + h + 4 * c * h + 4 * c)


@pytest.mark.parametrize(("c", "m"), [(8, 8), (100, 8), (256, 8), (288, 9), (512, 16)])
def test_coordatt_counts_with_at_least_8_hidden_channels(c: int, m: int) -> None:
    assert parameters(CoordAtt(c)) == c * m + m + 2 * m + 2 * (m * c + c)


@pytest.mark.parametrize(
    ("c", "k"), [(2, 1), (8, 3), (16, 3), (64, 3), (128, 5), (256, 5), (1024, 5), (2048, 7)]
)
def test_eca_derives_its_odd_kernel_from_the_channels(c: int, k: int) -> None:
    assert parameters(ECA(c)) == k


def test_eca_kernel_follows_gamma_and_beta() -> None:
    assert parameters(ECA(256, gamma=1, beta=1)) == 9
    assert parameters(ECA(256, gamma=2, beta=6)) == 7


def test_values_at_first_are_those_of_the_papers() -> None:
    ie, srm, lsas = IE(4), SRM(4), LSAS(4, 2, n=2)
    assert ie.weight.eq(0).all() and ie.bias.eq(-1).all()
    assert srm.cfc.eq(0).all()
    assert all(w.eq(0.5).all() for w in lsas.sub_weights)
    assert all(b.eq(-0.5).all() for b in lsas.sub_biases)
    assert SGE(4, 2).weight.eq(0).all() and SGE(4, 2).bias.eq(1).all()
    assert CBAM(4, 2).bn.momentum == 0.01
