"""Training in bfloat16, and with a learning rate of attention's own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.optim import AmpOptimWrapper, build_optim_wrapper
from torch import nn
from torch.nn.modules.module import register_module_forward_hook

from ean_transfer import attach, parameter_groups
from ean_transfer.engine.config import backbone_configs, load_config, set_amp
from ean_transfer.engine.optim import AttentionOptimWrapperConstructor, BFloat16OptimWrapper
from ean_transfer.engine.training import train
from tests.attachment.networks import SE, small


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


def built(network: nn.Module, **paramwise: Any) -> list[dict[str, Any]]:
    """The optimiser's groups."""
    cfg = dict(
        optimizer=dict(type="SGD", lr=1e-3, weight_decay=0.1),
        constructor=AttentionOptimWrapperConstructor,
        **({"paramwise_cfg": paramwise} if paramwise else {}),
    )
    return build_optim_wrapper(network, cfg).optimizer.param_groups


def rates(groups: list[dict[str, Any]]) -> dict[nn.Parameter, float]:
    return {p: group["lr"] for group in groups for p in group["params"]}


@pytest.mark.parametrize("attention", [SE, dict(SE, type="LSAS")])  # LSAS holds an SE
def test_a_configs_groups_are_those_of_plain_pytorch(attention: Any) -> None:
    net = attach(small(), attention)
    net.conv1.requires_grad_(False)
    assert rates(built(net)) == rates(parameter_groups(net, lr=1e-3))
    slower = rates(built(net, attention_lr_mult=2.0))
    assert slower == rates(parameter_groups(net, lr=1e-3, attention_lr=2e-3))


def test_mmengines_own_options_apply_as_well() -> None:
    net = attach(small(), SE)
    options = dict(norm_decay_mult=0.0, custom_keys={"layer2": dict(lr_mult=3.0)})
    own, plain = built(net, **options), rates(parameter_groups(net, lr=1e-3))
    layer2 = set(net.layer2.parameters())
    expected = {p: 3e-3 if p in layer2 else rate for p, rate in plain.items()}
    assert rates(own) == pytest.approx(expected)
    norms = {
        p for m in net.layer1.modules() if isinstance(m, nn.BatchNorm2d) for p in m.parameters()
    }
    decays = {p: group["weight_decay"] for group in own for p in group["params"]}
    assert norms and not any(decays[p] for p in norms)


def test_a_network_without_attention_trains_as_ever() -> None:
    assert set(rates(built(small())).values()) == {1e-3}
