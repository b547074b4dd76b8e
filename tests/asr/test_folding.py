"""Attention that is folded away: the same function, and nothing left of it."""

from __future__ import annotations

import copy
import itertools

import pytest
import torch
from mmpretrain.models import ResNet
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from ean_transfer import Ticket, build_backbone, optimize
from ean_transfer.asr import attention_values, fold, fold_means, stripe_scores
from ean_transfer.attachment.parameters import attention_parameters
from ean_transfer.backbones import TicketBackbone
from ean_transfer.errors import ConfigError
from ean_transfer.supernet.tree import forward_masks
from tests.helpers import quick_pairs

FOLDABLE = {
    "SE": {"reduction": 4},
    "DIA": {"reduction": 4},
    "ECA": {},
    "SPA": {"reduction": 4},
    "IE": {},
    "SRM": {},
    "SEM": {"reduction": 4},
    "LSAS": {"reduction": 4},
}
BACKBONES = (
    "resnet14_cifar",
    "preresnet11_cifar",
    "wrn16_1_cifar",
    "resnext20_2x4d_cifar",
    "resnet50",
)
IMAGES = torch.randn(4, 3, 17, 17, generator=torch.Generator().manual_seed(1))


def trained(backbone: str, attention: str, **kwargs) -> TicketBackbone:
    """All parameters and statistics away from their initial values."""
    torch.manual_seed(0)
    spec = {"type": attention, **FOLDABLE[attention]}
    small = {"base_channels": 4 if "resnext" in backbone else 8, "zero_init_residual": False}
    net = build_backbone(backbone, spec, **small, **kwargs)
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
        net.train()(IMAGES)
    return net.eval()


def relative(found: torch.Tensor, expected: torch.Tensor) -> float:
    return float((found - expected).abs().max() / expected.abs().max())


KINDS = list(itertools.product(("stage", "block"), ("full", "sparse")))


@pytest.mark.parametrize(
    ("backbone", "attention", "sharing", "ticket"), quick_pairs(BACKBONES, FOLDABLE, KINDS)
)
def test_folded_network_is_the_same_function_and_a_plain_network(
    backbone: str, attention: str, sharing: str, ticket: str | Ticket
) -> None:
    plain = build_backbone(backbone, base_channels=4 if "resnext" in backbone else 8)
    if ticket == "sparse":
        options = {"attention_options": FOLDABLE[attention], "sharing": sharing}
        ticket = Ticket.random(backbone, attention, seed=1, **options)
    net = trained(backbone, attention, sharing=sharing, ticket=ticket, asr=True)
    folded = fold(net)
    assert list(folded.state_dict()) == list(plain.state_dict())
    assert folded.ticket.is_plain and not attention_parameters(folded)
    with torch.no_grad():
        assert relative(folded(IMAGES)[0], net(IMAGES)[0]) < 1e-5
        # It did something: without it the output is another.
        without = copy.deepcopy(plain).eval()
        own = net.state_dict()
        without.load_state_dict({name: own[name] for name in without.state_dict()})
        assert relative(without(IMAGES)[0], net(IMAGES)[0]) > 1e-2


@pytest.mark.parametrize("sharing", ["stage", "block"])
@pytest.mark.parametrize("attention", ["SE", "DIA"])
def test_kept_attention_stays_as_it_is(attention: str, sharing: str) -> None:
    options = {"attention_options": FOLDABLE[attention], "sharing": sharing}
    ticket = Ticket.from_bits("10 01 00", "resnet14_cifar", attention, **options)
    mixed = ticket.replace(asr=("01", "11", "01"))  # other blocks, and before one that is kept
    for given, kwargs in ((ticket, {"asr": "before"}), (mixed, {})):
        net = trained("resnet14_cifar", attention, sharing=sharing, ticket=given, **kwargs)
        folded = fold(net)
        assert folded.ticket.id == ticket.id and folded.mask == ticket.mask
        assert not any("asr" in name for name in folded.state_dict())
        small = build_backbone(
            "resnet14_cifar",
            {"type": attention, **FOLDABLE[attention]},
            sharing,
            ticket,
            base_channels=8,
        ).eval()
        small.load_state_dict(folded.state_dict())
        with torch.no_grad():
            assert relative(small(IMAGES)[0], net(IMAGES)[0]) < 1e-5


def test_deploys_without_the_toolkit() -> None:
    torchvision = pytest.importorskip("torchvision")
    torch.manual_seed(0)
    net = build_backbone("resnet18", "SE", asr=True, zero_init_residual=False).eval()
    weights = fold(net).state_dict()
    ResNet(18).load_state_dict(weights)
    theirs = torchvision.models.resnet18().eval()
    report = theirs.load_state_dict(weights, strict=False)
    assert set(report.missing_keys) == {"fc.weight", "fc.bias"} and not report.unexpected_keys
    x = torch.randn(1, 3, 64, 64)
    features = nn.Sequential(*list(theirs.children())[:-2])
    with torch.no_grad():
        assert relative(features(x), net(x)[0]) < 1e-5


def test_psi_starts_at_the_papers_value_and_is_trained() -> None:
    torch.manual_seed(0)
    net = build_backbone(
        "resnet14_cifar", {"type": "SE", "reduction": 2}, asr=True, zero_init_residual=False
    )
    psi = net.layer1.asr.psi
    assert psi.eq(0.1).all() and psi.shape == (16,)
    assert not hasattr(net.layer1, "attention")
    net.train()(IMAGES)[0].square().mean().backward()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
    assert psi.grad.any() and net.layer1.asr.attention.fc2.weight.grad.any()
    srm = build_backbone("resnet14_cifar", "SRM", base_channels=8, asr=True)  # in training mode
    norms = [m for m in srm.layer1.asr.modules() if isinstance(m, _BatchNorm)]
    assert norms and not any(norm.training for norm in norms)


def test_ticket_says_what_is_to_be_folded() -> None:
    net = build_backbone("resnet14_cifar", {"type": "SE", "reduction": 4}, asr=True)
    ticket = Ticket.from_json(net.ticket.to_json())
    assert ticket.asr == ("11", "11", "11") and ticket.connected == 0 and ticket.to_fold == 6
    assert not ticket.is_plain and str(ticket) == "00 00 00 asr 11 11 11"
    again = build_backbone("resnet14_cifar", {"type": "SE", "reduction": 4}, ticket=ticket)
    assert list(again.state_dict()) == list(net.state_dict())
    assert ticket.folded().id == Ticket.none("resnet14_cifar").id
    assert '"asr"' not in Ticket.full("resnet14_cifar").to_json()


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"attention": {"type": "SGE", "groups": 4}}, "SGE cannot be re-parameterised"),
        ({"attention": {"type": "CBAM", "reduction": 4}}, "CBAM cannot be re-parameterised"),
        ({"attention": "IE", "asr": "after"}, "False, True or 'before', found 'after'"),
    ],
)
def test_what_cannot_be_folded_is_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        build_backbone("resnet14_cifar", **{"asr": True} | kwargs)


def test_masks_are_not_scored_beside_attention_to_fold() -> None:
    net = build_backbone("resnet14_cifar", "IE", asr="before")
    with pytest.raises(ConfigError, match="leave asr out"):
        list(forward_masks(net, IMAGES, [net.mask]))


def test_nothing_to_fold_is_said() -> None:
    with pytest.raises(ConfigError, match="nothing to fold"):
        fold(build_backbone("resnet14_cifar", "IE"))


@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_means_are_folded_and_their_connections_go(sharing: str) -> None:
    net = trained("resnet14_cifar", "SE", sharing=sharing, ticket="full")
    values = attention_values(net, [IMAGES[:1], IMAGES[1:]])
    assert list(values) == list(range(6)) and values[2].shape == (4, 16)
    assert all(score > 0 for score in stripe_scores(values).values())
    # By hand: block 1's weights are those of its own branch.
    x = net.layer1[0](net.stem_forward(IMAGES), net.layer1.attention_of(net.layer1[0]))[0]
    block = net.layer1[1]
    branch = block.normalise(block.body(x))
    expected = net.layer1.attention_of(net.layer1[1]).weights(branch.mean((2, 3)))[0]
    torch.testing.assert_close(values[1], expected)

    folded = fold_means(net, [IMAGES], blocks=[0, 1, 5])
    assert str(folded.ticket) == "00 11 10" and net.ticket.connected == 6
    assert not any(
        name.startswith("layer1") and "attention" in name for name in folded.state_dict()
    )
    with torch.no_grad():
        assert relative(folded(IMAGES)[0], net(IMAGES)[0]) > 1e-4  # not the same function
    with pytest.raises(ConfigError, match="block 0 carries no attention"):
        fold_means(folded, [IMAGES], blocks=[0])


def test_means_of_constant_attention_are_the_same_function() -> None:
    net = trained("resnet14_cifar", "SE", ticket="full")
    for stage in net.stages:
        nn.init.zeros_(stage.attention.fc2.weight)  # the bias alone: no image counts
    assert max(stripe_scores(attention_values(net, [IMAGES])).values()) < 1e-6
    folded = fold_means(net, [IMAGES])
    assert folded.ticket.is_plain
    with torch.no_grad():
        assert relative(folded(IMAGES)[0], net(IMAGES)[0]) < 1e-5
    sge = build_backbone("resnet14_cifar", {"type": "SGE", "groups": 4})
    with pytest.raises(ConfigError, match="one weight per channel, found SGE"):
        attention_values(sge, [IMAGES])


def test_a_branch_that_ends_without_weights_cannot_take_attention_in() -> None:
    norm = {"type": "BN", "affine": False}
    net = build_backbone("resnet14_cifar", "SE", asr=True, norm_cfg=norm)
    with pytest.raises(ConfigError, match="affine=False"):
        fold(net)
    fast = optimize(build_backbone("resnet14_cifar", "SE"), IMAGES, channels_last=False)
    with pytest.raises(ConfigError, match="--optimize has folded"):
        fold_means(fast, [IMAGES])
