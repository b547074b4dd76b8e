"""Networks of Hugging Face's transformers: they are torchvision's, and docs/networks.md is true."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset
from torchvision.models import get_model, resnet18, resnet50
from torchvision.models.resnet import ResNet

from ean_transfer import attach, blocks_of
from ean_transfer.attachment.families import backbone_name
from ean_transfer.attachment.libraries import build_network
from ean_transfer.backbones import AttachedBackbone
from ean_transfer.errors import ConfigError
from tests.attachment.test_networks_page import examples

transformers = pytest.importorskip("transformers")


def small(**options: Any) -> nn.Module:
    sizes = {"embedding_size": 8, "hidden_sizes": [16, 16, 32, 32], "depths": [2, 1, 1, 1]}
    torch.manual_seed(0)
    config = transformers.ResNetConfig(**sizes, num_labels=3, **options)
    return transformers.ResNetForImageClassification(config)


def weights_of(model: nn.Module, theirs: ResNet) -> dict[str, torch.Tensor]:
    """The weights of a network of transformers under torchvision's names."""
    state = {}
    blocks = zip(blocks_of(model), blocks_of(theirs), strict=True)
    for block, other in blocks:
        module: Any = block.module
        for number, layer in enumerate(module.layer, 1):
            for part, own in ((layer.convolution, "conv"), (layer.normalization, "bn")):
                for name, tensor in part.state_dict().items():
                    state[f"{other.name}.{own}{number}.{name}"] = tensor
        if not isinstance(module.shortcut, nn.Identity):
            parts = (module.shortcut.convolution, module.shortcut.normalization)
            for name, tensor in nn.Sequential(*parts).state_dict().items():
                state[f"{other.name}.downsample.{name}"] = tensor
    stem: Any = model.embedder.embedder
    for part, own in ((stem.convolution, "conv1"), (stem.normalization, "bn1")):
        state |= {f"{own}.{name}": tensor for name, tensor in part.state_dict().items()}
    return state


@pytest.mark.parametrize(
    ("build", "options"),
    [
        (resnet18, {"layer_type": "basic", "hidden_sizes": [64, 128, 256, 512]}),
        (resnet50, {"depths": [3, 4, 6, 3]}),
    ],
)
def test_a_ticket_is_the_same_network_as_on_torchvisions(build: Any, options: Any) -> None:
    torch.manual_seed(0)
    config = transformers.ResNetConfig(**{"depths": [2, 2, 2, 2], **options})
    ours, theirs = transformers.ResNetModel(config).double().eval(), build().double().eval()
    theirs.fc = nn.Identity()
    assert theirs.load_state_dict(weights_of(ours, theirs)).missing_keys == []
    images = torch.rand(2, 3, 32, 32, dtype=torch.float64)
    for model in (ours, theirs):
        torch.manual_seed(1)  # for equal attention
        attach(model, "SE", ticket="full", sharing="block")
    assert ours.ticket == theirs.ticket
    with torch.inference_mode():
        difference = ours(images).pooler_output.flatten(1) - theirs(images)
    assert difference.abs().max() < 1e-10


@pytest.mark.parametrize(
    ("network", "name"),
    [
        ("MobileNetV2Model", "mobilenet_v2"),
        ("EfficientNetModel", "efficientnet_b7"),
        ("ConvNextModel", "convnext_tiny"),
    ],
)
def test_other_families_have_torchvisions_names(network: str, name: str) -> None:
    kind = getattr(transformers, network)
    with torch.device("meta"):
        ours, theirs = kind(kind.config_class()), get_model(name, weights=None)
    assert backbone_name(blocks_of(ours)) == backbone_name(blocks_of(theirs))
    assert [block.channels for block in blocks_of(ours)] == [
        block.channels for block in blocks_of(theirs)
    ]


def test_blocks_are_found_in_a_segmentor() -> None:
    backbone = transformers.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1, 1, 1, 1],
        layer_type="basic",
        out_features=["stage1", "stage2", "stage3", "stage4"],
    )
    config = transformers.UperNetConfig(
        backbone_config=backbone, use_auxiliary_head=False, hidden_size=8
    )
    model = transformers.UperNetForSemanticSegmentation(config)
    assert [block.channels for block in blocks_of(model)] == [8, 16, 16, 16]


HIDDEN = {"hidden_sizes": [8, 16, 16, 32], "depths": [1, 1, 2, 1]}
FAMILIES = {
    "ResNet": {"embedding_size": 8, **HIDDEN},
    "RegNet": {"embedding_size": 8, "groups_width": 8, **HIDDEN},
    "Bit": {"embedding_size": 8, "num_groups": 4, **HIDDEN},
    "MobileNetV2": {"depth_multiplier": 0.25},
    "EfficientNet": {"width_coefficient": 0.25, "depth_coefficient": 0.5, "hidden_dim": 320},
    "ConvNext": HIDDEN,
    "ConvNextV2": HIDDEN,
    "DINOv3ConvNext": HIDDEN,
}


@pytest.mark.parametrize("family", FAMILIES)
def test_a_network_by_name_has_its_pretrained_weights(family: str, tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = getattr(transformers, f"{family}Config")(**FAMILIES[family])
    with_head = family != "DINOv3ConvNext"  # which has none
    kind = f"{family}ForImageClassification" if with_head else f"{family}Model"
    getattr(transformers, kind)(config).save_pretrained(tmp_path)
    name = f"transformers:{tmp_path}"
    backbone = AttachedBackbone(name, "SE", init="identity", weights=name, out_indices=(-3, -2, -1))
    backbone.init_weights()
    images = torch.rand(1, 3, 64, 64)
    theirs = getattr(transformers, f"{family}Model").from_pretrained(tmp_path).eval()
    output = theirs(images, output_hidden_states=True)
    states = [s for s in (*output.hidden_states, output.last_hidden_state) if s.ndim == 4]
    expected = [[s for s in states if s.shape[-1] == side][-1] for side in (8, 4, 2)]
    maps = backbone.eval()(images)
    assert all(torch.allclose(*pair, atol=1e-5) for pair in zip(maps, expected, strict=True))
    assert backbone.out_channels == tuple(map_.shape[1] for map_ in maps)
    sum(map_.sum() for map_ in backbone(images)).backward()  # type: ignore[union-attr]
    assert all(parameter.grad is not None for parameter in backbone.parameters())


def test_a_networks_values_and_stride_are_those_of_its_config(tmp_path: Path) -> None:
    transformers.MobileNetV2Config().save_pretrained(tmp_path)
    name = f"transformers:{tmp_path}"
    backbone = AttachedBackbone(
        name, out_indices=(-3, -2, -1), output_stride=8, depth_multiplier=0.25
    )
    maps = backbone.eval()(torch.rand(1, 3, 64, 64))
    assert [map_.shape[1:] for map_ in maps] == [(8, 8, 8), (24, 8, 8), (1280, 8, 8)]
    with pytest.raises(ConfigError, match=r"cannot be built with .*its config has no depths"):
        build_network(name, depths=[1, 1])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be built: "),
        ("{}", "cannot be built: Unrecognized model"),
        ('{"model_type": "vit", "num_hidden_layers": 1}', "found none"),
    ],
)
def test_a_network_that_is_none_is_refused_in_one_line(
    content: str | None, message: str, tmp_path: Path
) -> None:
    if content is not None:
        (tmp_path / "config.json").write_text(content)
    with pytest.raises(ConfigError, match=message) as error:
        AttachedBackbone(f"transformers:{tmp_path}")
    assert "\n" not in str(error.value)


def test_a_backbone_is_that_of_a_config(tmp_path: Path) -> None:
    small(out_features=["stage3"]).resnet.save_pretrained(tmp_path)
    load = transformers.ResNetBackbone.from_pretrained
    indices = {"out_indices": (1, 2, 3, 4)}
    network: dict[str, Any] = dict(type=load, pretrained_model_name_or_path=tmp_path, **indices)
    backbone = AttachedBackbone(network, "SE", init="identity", out_indices=(1, 3)).eval()
    images = torch.rand(1, 3, 64, 64)
    expected = load(tmp_path, **indices).eval()(images).feature_maps
    assert backbone.out_channels == (16, 32) and str(backbone.ticket) == "11 1 1 1"
    assert all(map(torch.allclose, backbone(images), (expected[1], expected[3])))


def test_the_pages_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    small().save_pretrained("pretrained")
    images, labels = torch.rand(8, 3, 32, 32), torch.arange(8) % 6
    loader = DataLoader(TensorDataset(images, labels), batch_size=4)
    names: dict[str, Any] = {"train_loader": loader, "val_loader": loader}
    search, load = examples("Networks of transformers")
    exec(search.replace("microsoft/resnet-50", "pretrained"), names)
    model = names["model"].eval()
    assert model.ticket == names["result"].ticket
    assert model.ticket.connected > 0  # as what follows needs some attention
    with torch.no_grad():
        for parameter in model.attention.parameters():
            parameter.add_(torch.randn_like(parameter))
    model.ticket.save("ticket.json")
    model.save_pretrained("folder")
    expected = model(images).logits
    exec(load, names)
    assert names["model"] is not model
    assert torch.allclose(names["model"].eval()(images).logits, expected, atol=1e-6)
