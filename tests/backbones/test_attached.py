"""Networks of other libraries as backbones: maps, tickets, weights, and what is trained."""

from __future__ import annotations

import copy
import itertools
from pathlib import Path
from typing import Any

import pytest
import timm
import torch
import torchvision
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models._utils import IntermediateLayerGetter

from ean_transfer import Ticket, TicketError, attach, build_backbone, detach
from ean_transfer.attachment.network import find_backbone, masked
from ean_transfer.backbones import AttachedBackbone
from ean_transfer.engine.config import set_ticket
from ean_transfer.engine.weights import load_backbone, write_network
from ean_transfer.errors import ConfigError
from ean_transfer.search.cost.table import cost_table
from ean_transfer.supernet.sharing import RememberedCalls, Work
from tests.attachment.networks import small

LITE0 = "timm:tf_efficientnet_lite0"
SMALL = "timm:mobilenetv3_small_050"  # blocks 1 11 11 11
SE = {"type": "SE", "reduction": 4}
FOUR = (-4, -3, -2, -1)
MASK = (False, True, False, True, True, False, True)
X = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def seeded(*args: Any, seed: int = 0, **kwargs: Any) -> Any:
    torch.manual_seed(seed)
    return AttachedBackbone(*args, **kwargs).eval()


def equal(one: Any, other: Any) -> bool:
    return len(one) == len(other) and all(map(torch.equal, one, other))


# -- maps ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "lcnet_050", "resnet18"])
def test_maps_of_timm_are_those_of_features_only(name: str) -> None:
    backbone = seeded(f"timm:{name}", out_indices=(1, 2, -1))
    theirs = timm.create_model(name, features_only=True, out_indices=(1, 2, 4)).eval()
    theirs.load_state_dict(backbone.body.state_dict())
    assert equal(backbone(X), theirs(X))
    assert list(backbone.out_channels) == theirs.feature_info.channels()


def test_maps_of_a_resnet_of_torchvision_are_its_stages() -> None:
    backbone = seeded("torchvision:resnet18", out_indices=FOUR)
    torch.manual_seed(0)
    names = {f"layer{number}": str(number) for number in range(1, 5)}
    theirs = IntermediateLayerGetter(torchvision.models.resnet18().eval(), names)
    assert equal(backbone(X), [*theirs(X).values()])
    assert backbone.out_channels == (64, 128, 256, 512)


def test_maps_of_a_torchvision_network_that_is_one_sequence() -> None:
    backbone = seeded("torchvision:mobilenet_v3_small", out_indices=(1, -1))
    torch.manual_seed(0)
    theirs = torchvision.models.mobilenet_v3_small().eval().features
    assert equal(backbone(X), [theirs[:2](X), theirs(X)])


@pytest.mark.parametrize(
    "name", ["timm:resnet18", "timm:convnext_atto", LITE0, "torchvision:regnet_y_400mf"]
)
def test_layers_after_the_last_map_are_gone_and_all_others_are_trained(name: str) -> None:
    attention = {"type": "SE", "reduction": 1}
    whole = AttachedBackbone(name, attention, out_indices=FOUR)
    shorter = AttachedBackbone(name, attention, out_indices=(-2,))
    assert shorter.state_dict().keys() < whole.state_dict().keys()
    assert shorter.ticket == whole.ticket
    assert 0 < len(shorter.places) < len(whole.places) == whole.ticket.num_blocks
    for network in (whole, shorter):
        sum(m.sum() for m in network(X)).backward()  # type: ignore[union-attr]
        assert all(parameter.grad is not None for parameter in network.parameters())


@pytest.mark.parametrize("library", ["timm", "torchvision"])
def test_output_stride(library: str) -> None:
    backbone = seeded(f"{library}:resnet50", out_indices=FOUR, output_stride=8)
    assert [map_.shape[1:] for map_ in backbone(X)] == [
        (256, 16, 16),
        (512, 8, 8),
        (1024, 8, 8),
        (2048, 8, 8),
    ]
    assert backbone.backbone_name == "resnet50"


class Returning(nn.Module):
    """Returns the maps of both stages."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = small()

    def forward(self, x: Tensor) -> list[Tensor]:
        inner: Any = self.inner
        x = inner.layer1(inner.conv1(x))
        return [x, inner.layer2(x)]


class Overwriting(nn.Module):
    """Has a function between its children that overwrites what the first one returned."""

    def __init__(self) -> None:
        super().__init__()
        inner: Any = small()
        self.conv1, self.layer1 = inner.conv1, inner.layer1

    def forward(self, x: Tensor) -> Tensor:
        return self.layer1(F.relu(self.conv1(x), inplace=True))


class Skipping(Returning):
    """Returns one map; its children do not run one after the other."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.layer1 = self.inner.conv1, self.inner.layer1
        del self.inner

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        x = self.conv1(x)
        return x + self.layer1(x.relu())


class Inner(nn.Module):
    """Returns no tensor."""

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        return {"last_hidden_state": x}


class WithAnInnerObject(nn.Module):
    """Has a child that returns an object, as networks of transformers have."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.encoder = nn.Conv2d(3, 8, 3), Inner()

    def forward(self, x: Tensor) -> Tensor:
        return self.encoder(self.stem(x))["last_hidden_state"]


MODELS.register_module(name="ReturningNetwork", module=Returning, force=True)


@pytest.mark.parametrize(
    "network", [small(), Returning(), {"type": "ReturningNetwork"}], ids=["chain", "maps", "config"]
)
def test_a_network_of_ones_own(network: Any) -> None:
    backbone = seeded(network, {"type": "SE", "reduction": 2}, out_indices=(-2, -1))
    assert [map_.shape[1:] for map_ in backbone(X)] == [(8, 62, 62), (16, 31, 31)]
    assert backbone.out_channels == (8, 16)
    assert str(backbone.ticket) == "111 11"


def test_places_of_ones_own() -> None:
    name, where = "torchvision:shufflenet_v2_x0_5", dict(at="stage2.*", out_indices=(2,))
    backbone, plain = seeded(name, "ECA", **where), seeded(name, **where)
    assert backbone.places == [*backbone.body.stage2]
    assert not equal(backbone(X), plain(X))
    with masked(backbone, (False,) * 4):
        assert equal(backbone(X), plain(X))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(model=SMALL, out_indices=(5,)), r"its 5 maps from 0 to 4 .* found \(5,\)"),
        (dict(model=SMALL, out_indices=()), r"out_indices .* found \(\)"),
        (dict(model=SMALL, frozen_stages=5), "frozen_stages is at most 4, .* found 5"),
        (dict(model=Returning(), frozen_stages=0), "frozen_stages is -1 for a network that"),
        (dict(model=Overwriting()), "found that layer1.0 does not get conv1 as it is"),
        (dict(model=Skipping()), "found that layer1.0 does not get conv1 as it is"),
        (dict(model=WithAnInnerObject()), "found that encoder returns a dict"),
        (dict(model=small(), drop_rate=0.1), "drop_rate is for networks by name .* found a Plain"),
        (dict(model=small(), output_stride=8), "output_stride is for networks by name"),
        (dict(model=SMALL, depth=3), "mobilenetv3_small_050 cannot be built with .*depth"),
        (dict(model="timm:mobilenetv3_smal_050"), "did you mean mobilenetv3_small_050"),
        (dict(model="resnet50"), "expected a network such as timm:NAME"),
        (dict(model="torchvision:resnet50", output_stride=4), "output_stride is 8, 16, 32"),
        (dict(model="torchvision:resnet18", output_stride=8), "torchvision:resnet18 cannot be"),
        (dict(model=SMALL, attention="SE", init="one"), "init is 'default' or 'identity'"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        AttachedBackbone(**arguments)
    assert "\n" not in str(error.value)


# -- tickets ---------------------------------------------------------------------------------------


def test_tickets_and_weights_of_plain_pytorch_fit(tmp_path: Path) -> None:
    torch.manual_seed(1)
    model: Any = timm.create_model(SMALL.removeprefix("timm:"), num_classes=5).eval()
    attach(model, SE)
    ticket = model.ticket.with_mask(MASK)
    attach(detach(model), ticket=ticket)
    ticket.save(tmp_path / "ticket.json")
    write_network(model, tmp_path / "weights.pth")

    backbone = build_backbone(
        SMALL,
        ticket=tmp_path / "ticket.json",
        weights=str(tmp_path / "weights.pth"),
        out_indices=FOUR,
    ).eval()
    assert backbone.ticket.id == ticket.id and backbone.mask == MASK
    assert equal(backbone(X), model.forward_intermediates(X, intermediates_only=True)[1:])


def test_bits_of_layers_after_the_last_map_are_not_used(log_lines: list[str]) -> None:
    whole = seeded(SMALL, SE, out_indices=(3, -1))
    shorter = seeded(SMALL, SE, ticket=whole.ticket, out_indices=(3,))
    assert len(shorter.places) == 5 and len(shorter.body.attention) == 3
    assert any("2 of the ticket's 7 connections are not used" in line for line in log_lines)
    assert shorter.mask == (True,) * 5 + (False,) * 2
    shorter.load_state_dict(whole.state_dict(), strict=False)
    for mask in (MASK, (True,) * 7):
        shorter.set_mask(mask)
        whole.set_mask(mask)
        assert torch.equal(shorter(X)[0], whole(X)[0])
    with pytest.raises(TicketError, match="expected one truth value per block, found 3"):
        shorter.set_mask((True,) * 3)


def test_a_ticket_of_another_network_is_refused() -> None:
    with pytest.raises(TicketError, match="does not fit the network: backbone resnet50"):
        AttachedBackbone(SMALL, ticket=Ticket.full("resnet50"))


def test_the_weights_drawn_do_not_depend_on_the_ticket() -> None:
    plain, full = seeded(SMALL), seeded(SMALL, SE)
    own = full.state_dict()
    assert all(torch.equal(tensor, own[name]) for name, tensor in plain.state_dict().items())
    assert str(plain.ticket) == "0 00 00 00" and str(full.ticket) == "1 11 11 11"


def test_the_command_lines_ticket_goes_into_the_config() -> None:
    backbone = dict(type="AttachedBackbone", model=SMALL, attention=SE)
    cfg = Config(dict(model=dict(type="ImageClassifier", backbone=backbone)))
    ticket = seeded(SMALL, SE).ticket.with_mask(MASK)
    set_ticket(cfg, ticket)
    built = MODELS.build(cfg.model.backbone)
    assert built.ticket.id == ticket.id and built.mask == MASK


@pytest.mark.parametrize("name", [SMALL, "torchvision:resnet18"])
def test_a_copy_is_a_network_of_its_own(name: str) -> None:
    backbone = seeded(name, SE)
    before = backbone(X)
    twin = copy.deepcopy(backbone)
    twin.set_mask((False,) * twin.ticket.num_blocks)
    assert equal(backbone(X), before) and not equal(twin(X), before)
    assert all(backbone.mask)


def test_masks_share_work_as_on_other_networks() -> None:
    backbone = seeded(SMALL, {"type": "DIA", "reduction": 4}, out_indices=FOUR)
    masks = list(itertools.product((True, False), repeat=7))[::9]
    outputs: list[dict[Any, Any]] = []
    for kind in (Work, RememberedCalls):
        outputs.append({})
        with kind(backbone, masks) as work, torch.no_grad():
            for mask in work.masks:
                work.use(mask)
                outputs[-1][mask] = [map_.clone() for map_ in backbone(X)]
    assert all(equal(outputs[0][mask], outputs[1][mask]) for mask in masks)


def test_costs_are_those_of_the_network_without_its_head() -> None:
    backbone = seeded(SMALL, SE, out_indices=FOUR)
    table = cost_table("params", backbone)
    assert table.network == sum(p.numel() for p in seeded(SMALL).parameters())
    attention = sum(p.numel() for p in backbone.body.attention.parameters())
    assert table.of((True,) * 7) == attention > table.of(MASK) > 0


# -- weights ---------------------------------------------------------------------------------------


@pytest.fixture
def pretrained(tmp_path: Path) -> str:
    """Weights of the whole network in timm's own names."""
    torch.manual_seed(3)
    model = timm.create_model(SMALL.removeprefix("timm:"))
    torch.save(model.state_dict(), tmp_path / "timm.pth")
    return str(tmp_path / "timm.pth")


def test_attention_that_starts_as_the_identity_leaves_pretrained_maps(pretrained: str) -> None:
    options = dict(weights=pretrained, out_indices=FOUR)
    plain, full = seeded(SMALL, **options), seeded(SMALL, SE, init="identity", **options)
    other = seeded(SMALL, SE, **options)
    for network in (plain, full, other):
        network.init_weights()
    theirs = torch.load(pretrained)
    assert torch.equal(full.body.conv_stem.weight, theirs["conv_stem.weight"])
    assert not equal(other(X), plain(X))
    for mask in ((True,) * 7, MASK, (False,) * 7):
        full.set_mask(mask)
        for one, reference in zip(full(X), plain(X), strict=True):
            torch.testing.assert_close(one, reference, atol=1e-6, rtol=1e-6)


def test_weights_are_loaded_once_and_attention_keeps_its_initial_values(pretrained: str) -> None:
    backbone = seeded("timm:resnet10t", {"type": "CBAM", "reduction": 4}, init="identity")
    before = copy.deepcopy(backbone.state_dict())
    backbone.init_weights()  # timm's, which would draw anew, is not called
    assert all(torch.equal(before[name], own) for name, own in backbone.state_dict().items())

    backbone = seeded(SMALL, pretrained=pretrained)
    backbone.init_weights()
    nn.init.zeros_(backbone.body.conv_stem.weight)
    backbone.init_weights()
    assert not backbone.body.conv_stem.weight.any()


def test_weights_go_from_task_to_task(tmp_path: Path) -> None:
    model = nn.Module()
    model.backbone = seeded(SMALL, SE)
    write_network(model, tmp_path / "trained.pth")
    other = nn.Module()
    other.backbone = seeded(SMALL, SE, seed=1, out_indices=FOUR)
    report = load_backbone(other, tmp_path / "trained.pth")
    assert not report.missing and not report.left_over
    assert torch.equal(other.backbone(X)[-1], model.backbone(X)[0])

    other.backbone = seeded(SMALL, SE, ticket=model.backbone.ticket.with_mask(MASK))
    with pytest.raises(TicketError, match="was trained with ticket 1 11 11 11"):
        load_backbone(other, tmp_path / "trained.pth")


def test_a_plain_networks_checkpoint_starts_an_identity_network_only(tmp_path: Path) -> None:
    model = nn.Module()
    model.backbone = seeded(SMALL, ticket="none")
    write_network(model, tmp_path / "plain.pth")
    other = nn.Module()
    other.backbone = seeded(SMALL, SE, seed=1, init="identity")
    assert load_backbone(other, tmp_path / "plain.pth").starts_as_identity
    torch.testing.assert_close(other.backbone(X)[0], model.backbone(X)[0], atol=1e-6, rtol=1e-6)

    other.backbone = seeded(SMALL, SE)
    with pytest.raises(TicketError, match="was trained with ticket 0 00 00 00"):
        load_backbone(other, tmp_path / "plain.pth")


# -- what is trained -------------------------------------------------------------------------------


def test_frozen_stages_are_the_layers_up_to_a_map(log_lines: list[str]) -> None:
    backbone = AttachedBackbone("timm:resnet18", SE, out_indices=FOUR, frozen_stages=2)
    trained = {name for name, p in backbone.named_parameters() if p.requires_grad}
    layers = ("layer3", "layer4", "attention.stage3", "attention.stage4")
    expected = tuple(f"body.{layer}." for layer in layers)
    names = {name for name, _ in backbone.named_parameters()}
    assert trained == {name for name in names if name.startswith(expected)} < names
    assert any("4 of the ticket's connections lie in frozen layers" in line for line in log_lines)

    last = AttachedBackbone(SMALL, out_indices=(1,), frozen_stages=3)
    assert not any(p.requires_grad for p in last.parameters())

    first = AttachedBackbone("timm:tresnet_m", out_indices=(1,), frozen_stages=0)
    assert all(p.requires_grad for p in first.parameters())  # its first map has no layers

    backbone.train()
    modes = {name: module.training for name, module in backbone.body.named_modules()}
    assert modes["layer3.0.bn1"] and modes["attention.stage3"]
    assert not modes["bn1"] and not modes["layer2.1.bn2"] and not modes["attention.stage2"]


@pytest.mark.parametrize("name", [SMALL, "torchvision:mobilenet_v3_small"])
def test_a_frozen_network_keeps_its_statistics_and_weights(name: str) -> None:
    backbone = AttachedBackbone(name, SE, out_indices=(1, -1), frozen_stages=1).train()
    before = copy.deepcopy(backbone.state_dict())
    maps = backbone(X)
    assert not maps[0].requires_grad
    maps[1].sum().backward()
    changed = {
        n for n, tensor in backbone.state_dict().items() if not torch.equal(tensor, before[n])
    }
    last = backbone.body.get_submodule(backbone.maps.layers[1])
    frozen = {id(t) for t in last.state_dict(keep_vars=True).values()}
    own = backbone.state_dict(keep_vars=True)
    assert changed and not frozen & {id(own[name]) for name in changed}


def test_layers_that_were_converted_stay_frozen() -> None:
    backbone = AttachedBackbone("timm:resnet18", SE, frozen_stages=2)
    nn.SyncBatchNorm.convert_sync_batchnorm(backbone)
    modes = {name: module.training for name, module in backbone.train().body.named_modules()}
    assert modes["layer3.0.bn1"] and not modes["bn1"] and not modes["layer2.1.bn2"]


def test_norm_eval_uses_running_statistics() -> None:
    backbone = AttachedBackbone(SMALL, SE, norm_eval=True).train()
    norms = [m for m in backbone.modules() if isinstance(m, nn.BatchNorm2d)]
    assert norms and not any(norm.training for norm in norms)
    assert backbone.body.blocks.training
    assert find_backbone(backbone) is backbone
