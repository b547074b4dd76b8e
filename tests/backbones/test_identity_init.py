"""New attention that leaves a pretrained network's output as it is."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.model import BaseModule, PretrainedInit
from mmengine.registry import MODELS
from mmengine.runner.checkpoint import load_checkpoint
from torch import Tensor, nn

from ean_transfer import Ticket, TicketError, build_backbone
from ean_transfer.asr import fold
from ean_transfer.attention import Attention
from ean_transfer.backbones import TicketBackbone
from ean_transfer.backbones.pretrained import FittedPretrained
from ean_transfer.engine.weights import load_backbone
from ean_transfer.errors import CheckpointError, ConfigError
from ean_transfer.registry import ATTENTION
from ean_transfer.supernet import find_backbone
from tests.helpers import quick_pairs

NAMES = ("resnet14_cifar", "preresnet14_cifar", "preresnet11_cifar", "resnext11_2x4d_cifar")
SE = {"type": "SE", "reduction": 2}
OPTIONS: dict[str, dict[str, Any]] = {
    "SGE": {"groups": 4},
    "CoordAtt": {},
    "ECA": {},
    "IE": {},
    "SRM": {},
}
# SimAM is refused: no values of its parameters make it a constant.
CONSTANT = [name for name in ATTENTION.module_dict if name != "SimAM"]


def spec(attention: str) -> dict[str, Any]:
    return {"type": attention, **OPTIONS.get(attention, {"reduction": 2})}


def build(name: str, attention: object, ticket: object, sharing: str = "stage", **kwargs):
    torch.manual_seed(0)
    kwargs = {"base_channels": 8, "zero_init_residual": False} | kwargs
    return build_backbone(name, attention, sharing, ticket, **kwargs)


def sparse(name: str, sharing: str = "stage", attention: str = "SE") -> Ticket:
    blocks = Ticket.full(name).backbone.blocks
    bits = " ".join("10"[:length] for length in blocks[:-1]) + " " + "0" * blocks[-1]
    return Ticket.from_bits(bits, name, attention, sharing=sharing)


def trained(name: str, attention: object = None, ticket: object = None, **kwargs) -> TicketBackbone:
    """A network with values like those after a training."""
    net = build(name, attention, ticket, **kwargs)
    generator = torch.Generator().manual_seed(1)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
            for tensor in (layer.bias, layer.running_mean):
                tensor.data.normal_(0, 0.3, generator=generator)
        elif isinstance(layer, nn.Linear):
            layer.weight.data.normal_(0, 1, generator=generator)
    return net


def saved(net: TicketBackbone, folder: Path, ticket: bool = False) -> str:
    """Write a checkpoint of a whole model with a network, with its ticket or without."""
    weights = {f"backbone.{name}": value for name, value in net.state_dict().items()}
    meta = {"ticket": net.ticket.model_dump(mode="json")} if ticket else {}
    torch.save({"state_dict": weights, "meta": meta}, folder / "trained.pth")
    return str(folder / "trained.pth")


class Model(BaseModule):
    def __init__(self, backbone: nn.Module, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.backbone = backbone


def load(file: str, *args: Any, how: str = "init_cfg", **kwargs: Any) -> TicketBackbone:
    """A network that got a checkpoint's weights in one of the possible ways."""
    if how == "init_cfg":
        pretrained = {"type": "Pretrained", "checkpoint": file, "prefix": "backbone."}
        return build(*args, init_cfg=pretrained, **kwargs)
    if how == "init_cfg of the model":
        model = Model(build(*args, **kwargs), init_cfg={"type": "Pretrained", "checkpoint": file})
        model.backbone._is_init = False
        model.init_weights()
    else:
        model = Model(build(*args, **kwargs))
        if how == "load_from":
            load_checkpoint(model, file)
        else:
            load_backbone(model, file)
            if how == "load_backbone twice":
                load_backbone(model, file)
    return model.backbone


WAYS = ("init_cfg", "load_backbone", "load_backbone twice", "load_from", "init_cfg of the model")


def outputs(net: TicketBackbone) -> list[Tensor]:
    """Outputs of a copy of the network, in evaluation and in training mode."""
    net = copy.deepcopy(net)
    x = torch.randn(4, 3, 12, 12, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        return [net.train(mode)(x)[0] for mode in (False, True)]


def difference(net: TicketBackbone, expected: TicketBackbone) -> float:
    """Largest difference between the outputs of two networks, relative to the largest value."""
    pairs = zip(outputs(net), outputs(expected), strict=True)
    return max(float((a - b).abs().max() / b.abs().max()) for a, b in pairs)


# -- the output is the plain network's -------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "how", "sharing"),
    [
        *((name, "init_cfg", sharing) for name in NAMES for sharing in ("stage", "block")),
        *quick_pairs(NAMES[:1], WAYS[1:], [("stage",), ("block",)]),
    ],
)
def test_the_output_is_the_plain_networks(
    tmp_path: Path, name: str, how: str, sharing: str
) -> None:
    plain = trained(name)
    file = saved(plain, tmp_path)
    for ticket in ("full", sparse(name, sharing)):
        net = load(file, name, SE, ticket, sharing, how=how, init="identity")
        assert net.ticket.connected > 0
        assert difference(net, plain) < 1e-6
    default = load(file, name, SE, "full", sharing, how=how)
    assert difference(default, plain) > 0.01


@pytest.mark.parametrize("attention", CONSTANT)
@pytest.mark.parametrize("name", ["resnet14_cifar", "preresnet14_cifar"])
def test_every_attention_that_can_starts_as_the_identity(
    tmp_path: Path, name: str, attention: str
) -> None:
    plain = trained(name)
    file = saved(plain, tmp_path)
    net = load(file, name, spec(attention), "full", init="identity")
    assert difference(net, plain) < 1e-5


FOLDABLE = ["SE", "DIA", "ECA", "SPA", "IE", "SRM", "SEM", "LSAS"]


@pytest.mark.parametrize(
    ("attention", "asr", "sharing"),
    quick_pairs(FOLDABLE, [True, "before"], [("stage",), ("block",)]),
)
def test_attention_to_fold_starts_as_the_identity_and_folds_into_the_plain_network(
    tmp_path: Path, attention: str, asr: bool | str, sharing: str
) -> None:
    plain = trained("resnet14_cifar")
    file = saved(plain, tmp_path)
    net = load(
        file, plain.backbone_name, spec(attention), "full", sharing, asr=asr, init="identity"
    )
    assert net.ticket.to_fold == 6
    assert difference(net, plain) < 1e-5
    assert difference(fold(net), plain) < 1e-5
    if asr is True:
        weights, expected = fold(net).state_dict(), plain.state_dict()
        assert weights.keys() == expected.keys()
        assert all(torch.allclose(weights[key], expected[key]) for key in weights)


@pytest.mark.parametrize("name", NAMES)
def test_from_scratch_it_is_the_plain_network_of_the_same_seed(name: str) -> None:
    net = build(name, SE, "full", init="identity")
    assert difference(net, build(name, None, None)) < 1e-6
    net.init_weights()  # again, as a runner may
    assert difference(net, build(name, None, None)) < 1e-6


def test_the_attention_learns_from_there(tmp_path: Path) -> None:
    file = saved(trained("resnet14_cifar"), tmp_path)
    net = load(file, "resnet14_cifar", SE, "full", init="identity")
    before = outputs(net)[0]
    optimizer = torch.optim.SGD(net.layer1.attention.parameters(), lr=1.0)
    net.train()(torch.randn(4, 3, 12, 12))[0].square().mean().backward()
    optimizer.step()
    assert not torch.allclose(outputs(net)[0], before)


def test_as_in_a_training_with_weights_of_another_task(toy, tmp_path: Path) -> None:
    plain = MODELS.build(toy("classification/toy", **{"model.backbone.ticket": "none"}).model)
    plain.init_weights()
    expected = trained("resnet14_cifar", base_channels=find_backbone(plain).base_channels)
    file = saved(expected, tmp_path, ticket=True)
    model = MODELS.build(toy("crowd_counting/toy", **{"model.backbone.init": "identity"}).model)
    model.init_weights()
    model._is_init = True
    load_backbone(model, file)
    model.init_weights()  # the runner's
    assert find_backbone(model).ticket.connected
    assert difference(find_backbone(model), expected) < 1e-5


# -- weights that bring their own attention --------------------------------------------------------


@pytest.mark.parametrize(("how", "asr"), [*((how, False) for how in WAYS), ("init_cfg", "before")])
@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_a_checkpoint_with_attention_gives_exactly_its_network(
    tmp_path: Path, how: str, asr: bool | str, sharing: str
) -> None:
    name = "resnet14_cifar"
    expected = trained(name, SE, sparse(name, sharing), sharing=sharing, asr=asr)
    file = saved(expected, tmp_path, ticket=sharing == "stage")
    net = load(file, name, SE, sparse(name, sharing), sharing, how=how, asr=asr, init="identity")
    weights = net.state_dict()
    assert all(torch.equal(weights[key], value) for key, value in expected.state_dict().items())


def test_after_a_training_its_weights_come_back(tmp_path: Path) -> None:
    plain = saved(trained("resnet14_cifar"), tmp_path)
    net = load(plain, "resnet14_cifar", SE, "full", init="identity")
    for weight in net.parameters():
        weight.data.add_(0.01)
    again = load(plain, "resnet14_cifar", SE, "full", init="identity")
    again.load_state_dict(net.state_dict())
    assert all(torch.equal(a, b) for a, b in zip(outputs(again), outputs(net), strict=True))


def test_only_new_modules_start_as_the_identity(tmp_path: Path) -> None:
    name = "resnet14_cifar"
    one, both = (
        Ticket.from_bits(bits, name, "SE", sharing="block") for bits in ("100000", "1" * 6)
    )
    old = trained(name, SE, one, sharing="block")
    net = load(saved(old, tmp_path), name, SE, both, "block", init="identity")
    assert difference(net, old) < 1e-6


def test_a_part_without_the_blocks_leaves_the_attention_alone() -> None:
    net = trained("resnet14_cifar", SE, "full", init="identity")
    before = net.layer1.attention.state_dict()
    before = {name: value.clone() for name, value in before.items()}
    net.load_state_dict({"conv1.weight": torch.zeros(8, 3, 3, 3)}, strict=False)
    after = net.layer1.attention.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())


# -- what is said and refused ----------------------------------------------------------------------


def test_the_report_says_so(tmp_path: Path) -> None:
    file = saved(trained("resnet14_cifar"), tmp_path)
    for init, said in (("identity", True), ("default", False)):
        report = load_backbone(Model(build("resnet14_cifar", SE, "full", init=init)), file)
        assert ("attention starts as the identity" in str(report)) == said
    own = saved(trained("resnet14_cifar", SE, "full"), tmp_path)
    report = load_backbone(Model(build("resnet14_cifar", SE, "full", init="identity")), own)
    assert not report.missing and "identity" not in str(report)


@pytest.mark.parametrize("how", ["init_cfg", "load_backbone"])
def test_a_plain_networks_checkpoint_is_taken_and_no_other_tickets(
    tmp_path: Path, how: str
) -> None:
    name = "resnet14_cifar"
    plain = trained(name)
    file = saved(plain, tmp_path, ticket=True)
    assert difference(load(file, name, SE, "full", how=how, init="identity"), plain) < 1e-6
    with pytest.raises(TicketError, match="was trained with ticket 00 00 00"):
        load(file, name, SE, "full", how=how)
    other = saved(trained(name, SE, "full"), tmp_path, ticket=True)
    with pytest.raises(TicketError, match="was trained with ticket 11 11 11"):
        load(other, name, SE, sparse(name), how=how, init="identity")


def test_what_cannot_start_as_the_identity_is_refused_when_it_is_built() -> None:
    class Doubler(Attention):
        def __init__(self, channels: int) -> None:
            super().__init__()

        def forward(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
            return x + x.abs(), state

    for attention in (Doubler, "SimAM"):
        with pytest.raises(ConfigError, match="cannot start as a constant"):
            build("resnet14_cifar", attention, "full", init="identity")
    build("resnet14_cifar", Doubler, "none", init="identity")  # has nothing that starts
    with pytest.raises(ConfigError, match="'default' or 'identity', found 'zero'"):
        build("resnet14_cifar", SE, "full", init="zero")


@pytest.mark.parametrize("kind", ["Pretrained", PretrainedInit])
@pytest.mark.parametrize("listed", [False, True])
def test_loaded_branches_are_not_zeroed(kind: object, listed: bool, tmp_path: Path) -> None:
    name = "resnet14_cifar"
    expected = trained(name)
    pretrained = {"type": kind, "checkpoint": saved(expected, tmp_path), "prefix": "backbone."}
    net = build(
        name,
        SE,
        "full",
        init="identity",
        init_cfg=[pretrained] if listed else pretrained,
        zero_init_residual=True,
    )
    assert difference(net, expected) < 1e-6
    net.init_weights()
    assert net.layer1[0].norm2.weight.all()


def test_what_a_checkpoint_lacks_is_logged(tmp_path: Path, log_lines: list[str]) -> None:
    network = build("resnet14_cifar", None, "none")
    weights = network.state_dict()
    lacking = [name for name in weights if name.startswith("layer3.")]
    torch.save({n: t for n, t in weights.items() if n not in lacking}, tmp_path / "part.pth")
    FittedPretrained(checkpoint=str(tmp_path / "part.pth"))(network)
    assert f"missing: {len(lacking)} ({lacking[0]}, " in log_lines[-1]


def test_a_checkpoint_of_which_nothing_fits_is_refused(tmp_path: Path) -> None:
    torch.save({"state_dict": {"stem.weight": torch.zeros(2)}}, tmp_path / "other.pth")
    init_cfg = {"type": "Pretrained", "checkpoint": str(tmp_path / "other.pth")}
    with pytest.raises(CheckpointError, match=r"other.pth: .* has stem.weight, .* has conv1.weig"):
        build("resnet14_cifar", None, "none", init_cfg=init_cfg)


def test_a_branch_without_an_affine_layer_is_refused() -> None:
    with pytest.raises(ConfigError, match="affine=False"):
        build("resnet14_cifar", SE, "full", init="identity", norm_cfg=dict(type="BN", affine=False))
