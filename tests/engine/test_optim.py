"""Training in bfloat16: what is computed in it, and what stays float32."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from mmengine.optim import AmpOptimWrapper
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from ean_transfer.engine.config import backbone_configs, load_config, set_amp
from ean_transfer.engine.optim import BFloat16OptimWrapper
from ean_transfer.engine.training import train


def test_layers_compute_in_bfloat16_and_weights_stay_float32() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(4, 4)
    wrapper = BFloat16OptimWrapper(torch.optim.SGD(layer.parameters(), lr=0.1))
    x = torch.randn(2, 4)
    with wrapper.optim_context(layer):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert layer(x).dtype == torch.float32  # after it, e.g. in validation
    before = layer.weight.detach().clone()
    gradient = []
    layer.weight.register_post_accumulate_grad_hook(lambda p: gradient.append(p.grad.dtype))
    wrapper.update_params(y.float().square().sum())
    assert layer.weight.dtype == torch.float32 and gradient == [torch.float32]
    assert not layer.weight.equal(before)


def test_a_config_dumped_by_a_run_is_known_again(toy, tmp_path: Path) -> None:
    cfg = toy("classification/toy")
    cfg.dump(tmp_path / "dumped.py")
    dumped = load_config(tmp_path / "dumped.py")
    assert len(list(backbone_configs(dumped.model))) == 1
    set_amp(dumped)
    assert dumped.optim_wrapper["type"] == "BFloat16OptimWrapper"


@pytest.mark.parametrize("own", [{}, {"type": AmpOptimWrapper, "loss_scale": 512.0}])
def test_amp_on_a_cpu_trains_in_bfloat16(toy, tmp_path: Path, own: dict) -> None:
    cfg = toy("classification/toy")
    cfg.optim_wrapper.update(own)
    set_amp(cfg)
    seen = []
    noting = register_module_forward_hook(
        lambda layer, x, y: (
            seen.append((layer.training, y.dtype)) if type(layer) is nn.Conv2d else None
        )
    )
    runner = train(cfg, tmp_path)
    noting.remove()
    assert set(seen) == {(True, torch.bfloat16), (False, torch.float32)}
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in runner.model.parameters())
