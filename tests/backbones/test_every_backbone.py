"""What holds for each family of backbones, and what each is by its paper."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from mmpretrain.models import ResNetV1c, ResNetV1d, ResNeXt
from torch import Tensor, nn
from torch.nn import functional as F

from ean_transfer import Ticket, build_backbone
from ean_transfer.backbones import BACKBONES, TicketBackbone, TicketResNet, TicketResNeXt
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import blocks_per_stage, parse_name

# Few channels keep the tests quick.
FAMILIES: dict[str, dict[str, Any]] = {
    "resnet20_cifar": {"base_channels": 8, "zero_init_residual": False},
    "preresnet20_cifar": {"base_channels": 4},  # basic blocks
    "preresnet29_cifar": {"base_channels": 4},  # bottlenecks
    "wrn16_2_cifar": {"base_channels": 4},
    "resnext29_2x4d_cifar": {"base_channels": 4, "zero_init_residual": False},
    "resnext50_2x4d": {"base_channels": 4, "stem_channels": 8, "zero_init_residual": False},
}
ATTENTIONS: dict[str, dict[str, Any]] = {
    "SE": {"type": "SE", "reduction": 4},
    "SGE": {"type": "SGE", "groups": 4},
    "DIA": {"type": "DIA", "reduction": 4},
}
SE = ATTENTIONS["SE"]
# Every attention on one backbone, and one attention on every other.
CASES = [("resnet20_cifar", name) for name in ATTENTIONS] + [
    (name, "SE") for name in [*FAMILIES][1:]
]
PREACTIVATION = [name for name in FAMILIES if name.startswith(("pre", "wrn"))]


def build(name: str, ticket: object, sharing: str = "stage", attention=SE, **kwargs):
    torch.manual_seed(0)
    return build_backbone(name, attention, sharing, ticket, **FAMILIES[name] | kwargs)


def sparse(name: str, sharing: str = "stage", attention: str = "SE") -> Ticket:
    """Every third block, none in the last stage."""
    *stages, last = blocks_per_stage(name)
    bits = " ".join("100100100"[:blocks] for blocks in stages) + " " + "0" * last
    return Ticket.from_bits(bits, name, attention, sharing=sharing)


def images(size: int = 16) -> Tensor:
    return torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(1))


# -- the contract ----------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FAMILIES)
def test_ticket_none_is_the_network_without_attention(name: str) -> None:
    plain, none = build(name, None, attention=None), build(name, "none")
    weights = none.state_dict()
    assert list(weights) == list(plain.state_dict())
    assert all(torch.equal(weights[key], value) for key, value in plain.state_dict().items())
    assert plain.ticket.id == none.ticket.id and none.backbone_name == name


@pytest.mark.parametrize(("name", "attention"), CASES)
@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_a_tickets_network_equals_the_supernet_at_that_mask(
    name: str, attention: str, sharing: str
) -> None:
    supernet, small = (
        build(name, ticket, sharing, ATTENTIONS[attention])
        for ticket in ("full", sparse(name, sharing, attention))
    )
    weights = supernet.state_dict()
    assert set(small.state_dict()) < set(weights)
    assert not any("attention" in key for key in small.stages[-1].state_dict())
    small.load_state_dict({key: weights[key] for key in small.state_dict()})
    full = supernet.eval()(images())[0]
    supernet.set_mask(small.ticket)
    for mode in (True, False):
        torch.testing.assert_close(
            supernet.train(mode)(images()), small.train(mode)(images()), rtol=0, atol=0
        )
    assert not torch.equal(full, supernet(images())[0])


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_arms_of_one_seed_start_from_equal_weights(name: str, sharing: str) -> None:
    # CBAM has convolutions and a BatchNorm, which mmengine would initialise with the backbone's.
    cbam = {"type": "CBAM", "reduction": 4}
    full = build(name, "full", sharing, cbam).state_dict()
    for ticket in ("none", sparse(name, sharing, "CBAM")):
        arm = build(name, ticket, sharing, cbam).state_dict()
        assert all(torch.equal(full[key], value) for key, value in arm.items())


@pytest.mark.parametrize("name", FAMILIES)
def test_only_connected_blocks_call_the_attention(name: str) -> None:
    net = build(name, sparse(name))
    calls = []
    for stage in net.stages[:-1]:
        stage.attention.register_forward_hook(lambda module, *_: calls.append(module))
    net(images())
    assert len(calls) == net.ticket.connected


@pytest.mark.parametrize(("name", "attention"), CASES)
def test_activation_checkpointing_gives_equal_gradients(name: str, attention: str) -> None:
    plain, recomputed = (
        build(name, "full", attention=ATTENTIONS[attention], with_cp=w) for w in (False, True)
    )
    for net in (plain, recomputed):
        # The first stage's input must need a gradient for its blocks to be recomputed.
        net(images().requires_grad_())[0].square().sum().backward()
    for (key, a), (_, b) in zip(
        plain.named_parameters(), recomputed.named_parameters(), strict=True
    ):
        torch.testing.assert_close(a.grad, b.grad, msg=lambda text, key=key: f"{key}: {text}")


@pytest.mark.parametrize("name", FAMILIES)
def test_frozen_stages_and_norm_eval(name: str) -> None:
    net = build(name, "full", frozen_stages=1, norm_eval=True).train()
    frozen = [key for key, weight in net.named_parameters() if not weight.requires_grad]
    assert frozen == [
        key for key, _ in net.named_parameters() if key.split(".")[0] in ("conv1", "bn1", "layer1")
    ]
    assert not any(m.training for m in net.modules() if isinstance(m, nn.BatchNorm2d))


@pytest.mark.parametrize("name", [name for name in FAMILIES if name.endswith("_cifar")])
def test_strides_dilations_and_outputs_are_those_asked_for(name: str) -> None:
    net = build(name, "full", out_indices=(0, 1, 2))
    channels = [stage[-1].out_channels for stage in net.stages]
    expected = [(2, c, size, size) for c, size in zip(channels, (16, 8, 4), strict=True)]
    assert [tuple(m.shape) for m in net(images())] == expected
    assert channels == [channels[0], 2 * channels[0], 4 * channels[0]]
    net = build(name, "full", strides=(1, 2, 1), dilations=(1, 1, 2))
    assert net(images())[0].shape[-1] == 8
    assert [m.dilation for m in net.layer3.modules() if isinstance(m, nn.Conv2d)].count((2, 2))


# -- pre-activation --------------------------------------------------------------------------------


def preactivation_by_hand(net: TicketBackbone, x: Tensor) -> list[Tensor]:
    """He et al. 2016, Figure 4(e), in evaluation, from the weights alone."""
    weights = net.state_dict()

    def relu_norm(x: Tensor, key: str) -> Tensor:
        names = ("running_mean", "running_var", "weight", "bias")
        return F.relu(F.batch_norm(x, *(weights[f"{key}.{name}"] for name in names)))

    maps = []
    x = F.conv2d(x, weights["conv1.weight"], padding=1)
    for i, stage in enumerate(net.stages, start=1):
        for j in range(len(stage)):
            block, stride = f"layer{i}.{j}", 2 if i > 1 and j == 0 else 1
            convolutions = [weights[k] for k in weights if k.startswith(f"{block}.conv")]
            strided = 1 if len(convolutions) == 3 else 0  # a bottleneck's 3x3, or the first
            activated = out = relu_norm(x, f"{block}.bn1")
            for k, weight in enumerate(convolutions):
                out = out if k == 0 else relu_norm(out, f"{block}.bn{k + 1}")
                padding = weight.shape[-1] // 2
                out = F.conv2d(out, weight, stride=stride if k == strided else 1, padding=padding)
            projection = weights.get(f"{block}.downsample.0.weight")
            x = out + (x if projection is None else F.conv2d(activated, projection, stride=stride))
        maps.append(x)
    return [*maps[:-1], relu_norm(maps[-1], "last_activation.0")]


def randomise_norms(net: nn.Module) -> None:
    """BatchNorms as after a training."""
    generator = torch.Generator().manual_seed(2)
    for layer in net.modules():
        if isinstance(layer, nn.BatchNorm2d):
            for tensor in (layer.weight, layer.running_var):
                tensor.data.uniform_(0.5, 1.5, generator=generator)
            for tensor in (layer.bias, layer.running_mean):
                tensor.data.normal_(0, 0.3, generator=generator)


@pytest.mark.parametrize("name", PREACTIVATION)
def test_preactivation_networks_compute_the_papers_block(name: str) -> None:
    net = build(name, "none", out_indices=(0, 1, 2)).eval()
    randomise_norms(net)
    torch.testing.assert_close(list(net(images())), preactivation_by_hand(net, images()))


@pytest.mark.parametrize("name", PREACTIVATION)
def test_a_batch_counts_once_in_each_running_statistic(name: str) -> None:
    net = build(name, "full").train()
    net(images())
    counts = [m.num_batches_tracked for m in net.modules() if isinstance(m, nn.BatchNorm2d)]
    assert counts and all(count == 1 for count in counts)


def test_attention_recalibrates_the_branch_after_its_last_convolution() -> None:
    net = build("preresnet20_cifar", "full").eval()
    seen: dict[str, Tensor] = {}
    block = net.layer2[1]
    block.conv2.register_forward_hook(lambda _, args, out: seen.update(conv=out))
    net.layer2.attention.register_forward_hook(lambda _, args, out: seen.update(attended=args[0]))
    x = torch.randn(2, 8, 8, 8)
    out, _ = block(x, net.layer2.attention)
    assert torch.equal(seen["conv"], seen["attended"])
    weights, _ = net.layer2.attention.weights(net.layer2.attention.pool(seen["conv"]))
    torch.testing.assert_close(out, x + seen["conv"] * weights[:, :, None, None])


def test_the_last_activation_is_frozen_with_the_last_stage_only() -> None:
    for stages in (2, 3):
        net = build("preresnet20_cifar", "none", frozen_stages=stages).train()
        trained = {key.split(".")[0] for key, w in net.named_parameters() if w.requires_grad}
        assert trained == ({"layer3", "last_activation"} if stages == 2 else set())
        assert net.last_activation[0].training == (stages == 2)


def test_a_branch_that_would_never_learn_is_refused() -> None:
    with pytest.raises(ConfigError, match="end in a convolution"):
        build("preresnet20_cifar", "none", zero_init_residual=True)


# -- against others' networks and the papers' numbers ----------------------------------------------


@pytest.mark.parametrize(
    ("ours", "theirs", "kwargs"),
    [
        (TicketResNet, ResNetV1c, {"deep_stem": True}),
        (TicketResNet, ResNetV1d, {"deep_stem": True, "avg_down": True}),
        (TicketResNeXt, ResNeXt, {"groups": 2}),
    ],
)
def test_variants_are_mmpretrains_key_for_key_and_value_for_value(ours, theirs, kwargs) -> None:
    small = {"depth": 50, "base_channels": 8, "stem_channels": 8, "out_indices": (0, 1, 2, 3)}
    torch.manual_seed(4)
    plain = theirs(**small, **({} if "deep_stem" in kwargs else kwargs))
    plain.init_weights()
    torch.manual_seed(4)
    net = ours(**small, **kwargs, attention=SE, ticket="none")
    net.init_weights()
    weights = net.state_dict()
    assert list(weights) == list(plain.state_dict())
    assert all(torch.equal(weights[key], value) for key, value in plain.state_dict().items())
    for module in (net, plain):
        randomise_norms(module)
    for mode in (True, False):
        net.train(mode)
        plain.train(mode)
        assert all(map(torch.equal, net(images(33)), plain(images(33))))


def test_a_resnet_d_takes_a_resnets_ticket() -> None:
    ticket = Ticket.load("zoo:ean-se-resnet50")
    kwargs = {"base_channels": 16, "stem_channels": 8, "deep_stem": True, "avg_down": True}
    assert build_backbone("resnet50", "SE", ticket=ticket, **kwargs).mask == ticket.mask


@pytest.mark.parametrize(
    ("name", "kwargs", "classes", "millions"),
    [
        ("preresnet164_cifar", {}, 10, "1.7"),
        ("wrn16_8_cifar", {}, 10, "11.0"),
        ("wrn40_4_cifar", {}, 10, "8.9"),
        ("wrn52_4_cifar", {}, 100, "12.07"),
        ("resnext29_8x64d_cifar", {}, 10, "34.4"),
        ("resnext101_8x32d_cifar", {"base_channels": 32}, 100, "32.14"),
    ],
)
def test_networks_have_the_published_number_of_parameters(
    monkeypatch: pytest.MonkeyPatch, name: str, kwargs: dict, classes: int, millions: str
) -> None:
    monkeypatch.setattr(nn.Conv2d, "reset_parameters", lambda self: None)  # slow, and not looked at
    pattern, numbers = parse_name(name)
    net = BACKBONES[pattern](**numbers, **kwargs)
    found = sum(weight.numel() for weight in net.parameters()) + (net.feat_dim + 1) * classes
    digits = len(millions.partition(".")[2])
    assert f"{found / 1e6:.{digits}f}" == millions


def test_one_group_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 2 groups, found 1"):
        build_backbone("resnext29_1x64d_cifar")


@pytest.mark.slow
def test_torchvisions_resnext50_state_dict_loads_with_no_key_missing() -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnext50_32x4d().eval()
    ours = build_backbone("resnext50_32x4d", "SE", ticket="none").eval()
    report = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not report.missing_keys and set(report.unexpected_keys) == {"fc.weight", "fc.bias"}
    x = torch.randn(1, 3, 64, 64)
    features = nn.Sequential(*list(theirs.children())[:-2])
    torch.testing.assert_close(ours(x)[0], features(x))
