"""Networks made of parts of one with attention: its parameters come along, or it is refused."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torchvision.models import resnet18
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.models.feature_extraction import create_feature_extractor

from ean_transfer import attach
from ean_transfer.attachment.network import find_backbone
from ean_transfer.errors import ConfigError
from tests.attachment.networks import DIA, SE, small

X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
CBAM = {"type": "CBAM", "reduction": 4}


class Last(nn.Module):
    """The last of the maps that a network returns."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, x: Tensor) -> Tensor:
        maps: Any = self.network(x)
        return list(maps.values())[-1] if isinstance(maps, dict) else maps[-1]


def timm_graph(model: nn.Module) -> nn.Module:
    features_fx = pytest.importorskip("timm.models._features_fx")
    return features_fx.FeatureGraphNet(model, (1, 2))


def timm_list(model: nn.Module) -> nn.Module:
    features = pytest.importorskip("timm.models._features")
    return features.FeatureListNet(model, (1, 2))


MAKERS = {
    "torchvision's extractor": lambda model: create_feature_extractor(model, ["layer1", "layer2"]),
    "torchvision's getter": lambda model: IntermediateLayerGetter(model, {"layer2": "map"}),
    "timm's graph": timm_graph,
    "timm's list": timm_list,
}


@pytest.fixture
def model(request: pytest.FixtureRequest) -> Any:
    torch.manual_seed(0)
    network = small()
    # What timm's wrappers ask of a network.
    network.feature_info = [  # type: ignore[assignment]
        dict(num_chs=channels, reduction=2, module=name)
        for name, channels in (("conv1", 8), ("layer1", 8), ("layer2", 16))
    ]
    return attach(network, request.param, "block").eval()


@pytest.mark.parametrize("model", [SE, DIA, CBAM], indirect=True, ids=lambda spec: spec["type"])
@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
@pytest.mark.parametrize("copied", [False, True])
def test_attention_comes_along(model: Any, make: Any, copied: bool) -> None:
    expected = model.layer2(model.layer1(model.conv1(X)))
    extractor = Last(make(model))
    if copied:
        extractor = copy.deepcopy(extractor)
    extractor.eval()  # a copied graph of torch.fx trains
    own = find_backbone(extractor)
    assert torch.equal(extractor(X), expected)
    parameters = {id(parameter) for parameter in extractor.parameters()}
    assert {id(parameter) for parameter in own.parameters()} <= parameters
    keys = [f"attention.{key}" for key in own.state_dict()]
    assert all(any(key.endswith(own_key) for key in extractor.state_dict()) for own_key in keys)

    own.set_mask((False,) * 5)
    plain = extractor(X)
    own.set_mask((True,) * 5)
    assert torch.equal(extractor(X), expected) and not torch.equal(plain, expected)

    extractor.train()
    extractor(X).sum().backward()
    assert all(parameter.grad is not None for parameter in own.parameters())


@pytest.mark.parametrize("options", [dict(model_name="lcnet_050"), dict(zero_init_last=False)])
def test_a_network_that_returns_maps_is_attached_to_like_any_other(options: Any) -> None:
    timm = pytest.importorskip("timm")
    network = timm.create_model(**{"model_name": "resnet18", **options}, features_only=True)
    before = [map_.clone() for map_ in network.eval()(X)]
    attached: Any = attach(network, {"type": "SE", "reduction": 4})
    assert attached.attention in set(attached.children())
    assert not torch.equal(attached(X)[-1], before[-1])


def test_a_graph_of_the_whole_model_is_the_model() -> None:
    model: Any = attach(resnet18(num_classes=3), "SE").eval()
    graph = torch.fx.symbolic_trace(model)
    assert torch.equal(graph(X), model(X))
    assert graph.state_dict().keys() == model.state_dict().keys()
    assert len(list(graph.parameters())) == len(list(model.parameters()))


def test_a_part_is_not_traced_without_its_attention() -> None:
    model: Any = attach(small(), SE)
    with pytest.raises(ConfigError, match=r"trace the model that was given to attach\(\)") as error:
        create_feature_extractor(nn.Sequential(model.conv1, model.layer1), ["1"])
    assert "\n" not in str(error.value)
