"""The modules against those of torchvision and timm, with the same weights."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torchvision.ops import SqueezeExcitation

from ean_transfer.attention import CBAM, ECA, SE, CoordAtt


def assert_same(ours: nn.Module, theirs: nn.Module) -> None:
    """Outputs and gradients of the input agree to 1e-5, in training and evaluation mode."""
    torch.manual_seed(0)
    x = torch.randn(3, 16, 9, 7)
    direction = torch.randn_like(x)
    for training in (True, False):

        def run(module: nn.Module, training: bool = training) -> tuple[Tensor, Tensor]:
            leaf = x.clone().requires_grad_()
            y = module.train(training)(leaf)
            y = y[0] if isinstance(y, tuple) else y
            return y, *torch.autograd.grad((y * direction).sum(), leaf)

        for value, expected in zip(run(ours), run(theirs), strict=True):
            torch.testing.assert_close(value, expected, rtol=1e-5, atol=1e-5)


def copy_weights(ours: nn.Module, theirs: nn.Module) -> None:
    """Copy the weights (of 1 x 1 convolutions, as matrices) and BN's statistics into ours."""
    source = theirs.state_dict()
    ours.load_state_dict({k: source[k].reshape(v.shape) for k, v in ours.state_dict().items()})


def test_se_is_torchvisions() -> None:
    theirs, ours = SqueezeExcitation(16, 4), SE(16, 4)
    copy_weights(ours, theirs)
    assert_same(ours, theirs)


def test_se_is_timms() -> None:
    layers = pytest.importorskip("timm.layers")
    theirs, ours = layers.SEModule(16, rd_channels=4), SE(16, 4)
    copy_weights(ours, theirs)
    assert_same(ours, theirs)


@pytest.mark.parametrize("gamma", [1, 2])
def test_eca_is_timms(gamma: int) -> None:
    # timm's kernel has at least 3 channels: of these two, so do the paper's.
    layers = pytest.importorskip("timm.layers")
    theirs, ours = layers.EcaModule(16, gamma=gamma), ECA(16, gamma=gamma)
    copy_weights(ours, theirs)
    assert_same(ours, theirs)


def test_cbam_is_timms_with_biases_and_mean_and_maximum_exchanged() -> None:
    # By default timm leaves out the MLP's biases; its map is [mean; max] and not [max; mean], and
    # its BN's momentum 0.1 and not 0.01.
    cbam = pytest.importorskip("timm.layers.cbam")
    theirs, ours = cbam.CbamModule(16, rd_channels=4, mlp_bias=True), CBAM(16, 4)
    bn = theirs.spatial.conv.bn
    assert bn.momentum == 0.1
    bn.momentum = 0.01
    for part in ("fc1", "fc2"):
        copy_weights(getattr(ours, part), getattr(theirs.channel, part))
    copy_weights(ours.bn, bn)
    with torch.no_grad():
        ours.conv.weight.copy_(theirs.spatial.conv.conv.weight.flip(1))
    assert_same(ours, theirs)


def test_coordatt_is_timms_with_biases() -> None:
    # By default timm leaves out the convolutions' biases and has another number of channels.
    coord_attn = pytest.importorskip("timm.layers.coord_attn")
    theirs, ours = coord_attn.CoordAttn(16, rd_channels=8, bias=True), CoordAtt(16)
    copy_weights(ours.conv, theirs.conv1)
    copy_weights(ours.bn, theirs.bn1)
    copy_weights(ours.conv_h, theirs.conv_h)
    copy_weights(ours.conv_w, theirs.conv_w)
    assert_same(ours, theirs)
