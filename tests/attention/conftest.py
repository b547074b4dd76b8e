"""Every attention module, with options for 16 channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch

from ean_transfer.attention import Attention, build_attention

CHANNELS = 16
OPTIONS: dict[str, dict[str, Any]] = {
    "CBAM": {"reduction": 4},
    "CoordAtt": {},
    "DIA": {"reduction": 4},
    "ECA": {},
    "IE": {},
    "LSAS": {"reduction": 4, "n": 2},
    "SE": {"reduction": 4},
    "SEM": {"reduction": 4},
    "SGE": {"groups": 4},
    "SPA": {"reduction": 4},
    "SRM": {},
    "SimAM": {},
}


@pytest.fixture(params=OPTIONS)
def name(request: pytest.FixtureRequest) -> str:
    """Name of an attention module; the test runs once for each."""
    return request.param


@pytest.fixture
def build(name: str) -> Callable[[], Attention]:
    """Builds the module for 16 channels, with its initial values."""
    return lambda: build_attention({"type": name, **OPTIONS[name]}, CHANNELS)


@pytest.fixture
def trained(build: Callable[[], Attention]) -> Attention:
    """The module with random parameters and running statistics, unlike its initial ones."""
    torch.manual_seed(0)
    module = build()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.randn_like(parameter))
        for key, buffer in module.named_buffers():
            if key.endswith("running_mean"):
                buffer.copy_(torch.randn_like(buffer))
            if key.endswith("running_var"):
                buffer.copy_(torch.rand_like(buffer) + 0.5)
    return module
