"""SE and CBAM of timm, torchvision and mmpretrain: read where ours compute the same."""

from __future__ import annotations

from typing import Any

import pytest
import timm
import torch
import torchvision
from mmpretrain.models import SEResNet
from torch import Tensor, nn

from ean_transfer import attach, build_backbone
from ean_transfer.attention.published import in_our_form
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError


def with_statistics(network: nn.Module) -> nn.Module:
    """The network with BatchNorms as after a training, which differ from channel to channel."""
    generator = torch.Generator().manual_seed(3)
    for layer in network.modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            for tensor in (layer.weight, layer.bias, layer.running_mean, layer.running_var):
                tensor.data.copy_(torch.rand(tensor.shape, generator=generator) * 0.5 + 0.3)
    return network


def of_timm(attention: str) -> nn.Module:
    torch.manual_seed(0)
    layer = {"SE": "se", "CBAM": "cbam"}[attention]
    bottleneck = timm.models.resnet.Bottleneck
    network = timm.models.resnet.ResNet(bottleneck, (3, 4, 6, 3), block_args=dict(attn_layer=layer))
    return with_statistics(network)


def last_map(network: nn.Module, images: Tensor) -> Tensor:
    """The map of the last stage, whoever made the network."""
    maps: list[Tensor] = []
    handle = network.layer4.register_forward_hook(lambda *arguments: maps.append(arguments[-1]))
    network.eval()  # mmpretrain's returns nothing
    with torch.no_grad():
        network(images)
    handle.remove()
    return maps[0]


def ours(attention: str, kind: str, **options: Any) -> nn.Module:
    if kind == "attached":
        return attach(torchvision.models.resnet50(), attention, sharing="block", **options)
    return build_backbone("resnet50", attention=attention, sharing="block", **options)


THEIRS = {
    "timm's SE": lambda: of_timm("SE"),
    "timm's CBAM": lambda: of_timm("CBAM"),
    "mmpretrain's SE": lambda: with_statistics(SEResNet(50, out_indices=(3,))),
}


@pytest.mark.parametrize(
    ("theirs", "kind"),
    [
        ("timm's SE", "backbone"),
        ("timm's CBAM", "attached"),
        ("timm's SE", "attached, as the identity"),
        ("mmpretrain's SE", "backbone"),
        pytest.param("timm's SE", "attached", marks=pytest.mark.slow),
        pytest.param("timm's CBAM", "backbone", marks=pytest.mark.slow),
        pytest.param("mmpretrain's SE", "attached", marks=pytest.mark.slow),
    ],
)
def test_networks_with_their_weights_compute_the_same(tmp_path, theirs, kind) -> None:
    network, attention = THEIRS[theirs](), theirs.split()[-1]
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    model = nn.Module()
    options = dict(init="identity") if "identity" in kind else {}
    model.backbone = ours(attention, kind.partition(",")[0], **options)
    report = load_backbone(model, tmp_path / "theirs.pth")
    assert "of published attention into our form" in str(report)
    assert not [name for name in report.missing if "fc" not in name and "extra_state" not in name]
    images = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    expected = last_map(network, images)
    assert expected.std() > 0
    error = (last_map(model.backbone, images) - expected).abs().max() / expected.abs().max()
    assert error < 1e-5


def test_another_reduction_is_named(tmp_path) -> None:
    torch.save(of_timm("SE").state_dict(), tmp_path / "theirs.pth")
    model = nn.Module()
    model.backbone = ours("SE", "backbone", ticket="full")
    other = nn.Module()
    other.backbone = build_backbone(
        "resnet50", attention=dict(type="SE", reduction=8), sharing="block"
    )
    load_backbone(model, tmp_path / "theirs.pth")
    with pytest.raises(CheckpointError, match=r"attention.fc1.weight has shape \(16, 256\)"):
        load_backbone(other, tmp_path / "theirs.pth")


@pytest.mark.parametrize(
    ("attention", "weights"),
    [
        pytest.param("SE", {"se.fc1.weight": 2, "se.fc1.bias": 1}, id="a layer is missing"),
        pytest.param("SE", {"se.fc1.weight": 2, "se.bn.weight": 1}, id="with a BatchNorm"),
        pytest.param("CBAM", {"se.fc1.weight": 2, "se.fc2.weight": 2}, id="SE for CBAM"),
        pytest.param("ECA", {"se.fc1.weight": 2, "se.fc2.weight": 2}, id="SE for ECA"),
    ],
)
def test_other_formulas_keep_their_names(attention: str, weights: dict[str, int]) -> None:
    network = build_backbone("resnet14_cifar", attention=attention, sharing="block")
    theirs = {f"layer1.0.{name}": torch.zeros((4,) * axes) for name, axes in weights.items()}
    assert in_our_form(theirs, network).keys() == theirs.keys()


def test_a_networks_own_squeeze_and_excitation_stays_its_own(tmp_path) -> None:
    network = of_timm("SE")
    torch.save(network.state_dict(), tmp_path / "theirs.pth")
    model = nn.Module()
    model.backbone = attach(of_timm("SE"), "SE", sharing="block")
    report = load_backbone(model, tmp_path / "theirs.pth")
    assert not report.left_over and "layer1.0.se.fc1.weight" in report.loaded
    for make in (torchvision.models.regnet_y_400mf, torchvision.models.mobilenet_v3_small):
        torch.save(make().state_dict(), tmp_path / "theirs.pth")
        model.backbone = attach(make(), dict(type="SE", reduction=8))
        assert not load_backbone(model, tmp_path / "theirs.pth").left_over
