"""Attention on networks of any make: what attach() changes, and what detach() takes back."""

from __future__ import annotations

import copy
import io
import pickle
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision.models as tv
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ean_transfer import Ticket, TicketError, attach, blocks_of, build_backbone, detach
from ean_transfer.attachment.attached import follow_layers
from ean_transfer.attachment.network import find_backbone, set_mask
from ean_transfer.engine.weights import load_backbone, load_model, write_network
from ean_transfer.errors import ConfigError
from tests.attachment.networks import (
    DIA,
    SE,
    SMALL,
    STAGES,
    Negation,
    Quarter,
    X,
    sizes,
    small,
    toy,
)


def branch_of_basic_block(block: Any, x: Tensor) -> Tensor:
    return block.bn2(block.conv2(torch.relu(block.bn1(block.conv1(x)))))


# -- what attach changes -----------------------------------------------------------------------


@pytest.mark.parametrize("family", SMALL)
def test_ticket_none_leaves_the_network_as_it_is(family: str) -> None:
    model = small(family)
    plain = copy.deepcopy(model)
    assert attach(model, SE, ticket="none") is model
    assert list(model.state_dict()) == list(plain.state_dict())
    assert torch.equal(model(X), plain(X))
    assert model.ticket.connected == 0
    assert list(map(len, model.ticket.stages)) == STAGES[family]


@pytest.mark.parametrize("family", SMALL)
def test_keys_and_weights_stay(family: str) -> None:
    model = small(family)
    weights = copy.deepcopy(model.state_dict())
    attach(model, SE)
    assert all(torch.equal(model.state_dict()[key], weights[key]) for key in weights)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    assert not unexpected and missing
    assert missing == [key for key in model.state_dict() if key.startswith("attention.")]


REFERENCE: dict[str, Callable[[Any, Tensor, Callable], Tensor]] = {
    "resnet": lambda b, x, a: torch.relu(x + a(branch_of_basic_block(b, x))),
    "regnet": lambda b, x, a: torch.relu(x + a(b.f(x))),
    "mobilenet_v2": lambda b, x, a: x + a(b.conv(x)),
    "mobilenet_v3": lambda b, x, a: x + a(b.block(x)),
    "efficientnet": lambda b, x, a: x + a(b.block(x)),
    "convnext": lambda b, x, a: x + b.layer_scale * a(b.block(x)),
}


@pytest.mark.parametrize("family", SMALL)
def test_attention_acts_on_the_branch_before_the_addition(family: str) -> None:
    plain = small(family)
    model = attach(copy.deepcopy(plain), SE)
    number = STAGES[family][0] - 1  # the last of stage 1, which has no projection
    ours, theirs = blocks_of(model)[number], blocks_of(plain)[number]
    x = torch.randn(2, ours.channels, 6, 6)
    attention = model.attention["stage1"]
    expected = REFERENCE[family](theirs.module, x, lambda branch: attention(branch)[0])
    torch.testing.assert_close(ours.module(x), expected)
    assert not torch.allclose(ours.module(x), theirs.module(x))


@pytest.mark.slow
@pytest.mark.parametrize(("attention", "sharing"), [("SE", "block"), ("DIA", "stage")])
def test_network_equals_the_toolkits_own_backbone(attention: str, sharing: str) -> None:
    ticket = Ticket.from_bits("10 00 11 01", "resnet18", attention, sharing=sharing)
    torch.manual_seed(1)
    own = build_backbone("resnet18", attention, sharing, ticket, zero_init_residual=False).eval()
    model = tv.resnet18().eval()
    torch.manual_seed(1)
    attach(model, attention, sharing, ticket)
    model.load_state_dict(own.state_dict(), strict=False)  # but for attention, of the same seed
    x = model.maxpool(model.relu(model.bn1(model.conv1(X))))
    ours = model.layer4(model.layer3(model.layer2(model.layer1(x))))
    torch.testing.assert_close(ours, own(X)[-1])
    assert model.ticket == own.ticket


def test_only_connected_blocks_call_and_only_their_stages_hold_modules() -> None:
    model = attach(small(), SE, ticket=toy("101 00"), name="toy")
    inputs = []
    model.attention["stage1"].register_forward_hook(lambda _, given, out: inputs.append(given[0]))
    model(X)
    assert len(inputs) == 2
    assert list(model.attention) == ["stage1"]


@pytest.mark.parametrize(("sharing", "modules"), [("stage", 1), ("block", 2)])
def test_a_stage_shares_one_module_or_each_block_has_its_own(sharing: str, modules: int) -> None:
    model = attach(small(), SE, sharing, toy("101 10", sharing=sharing), name="toy")
    se8, se16 = 2 * 8 * 4 + 4 + 8, 2 * 16 * 8 + 8 + 16
    assert sum(p.numel() for p in model.attention.parameters()) == modules * se8 + se16


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_gradient_reaches_every_attention_parameter(family: str, sharing: str) -> None:
    model = attach(small(family), Quarter, sharing).train()
    model(X).square().sum().backward()
    assert all(p.grad is not None and p.grad.any() for p in model.attention.parameters())


def test_attention_follows_the_models_dtype_and_mode() -> None:
    model = attach(small().double(), SE)
    assert model(X.double()).dtype == torch.float64
    assert not model.attention["stage1"].training
    assert model.float()(X).dtype == torch.float32


def test_other_random_draws_are_left_alone_and_the_seed_decides_the_attention() -> None:
    states = []
    for seed in (3, 3, 4):
        model = small()
        torch.manual_seed(seed)
        before = torch.get_rng_state()
        states.append(attach(model, SE).attention.state_dict())
        assert torch.equal(torch.get_rng_state(), before)
    first, same, other = (state["stage1.fc1.weight"] for state in states)
    assert torch.equal(first, same) and not torch.equal(first, other)


def test_a_model_that_calls_its_children_in_turn_still_works() -> None:
    plain = nn.Sequential(*small().children()).eval()
    model = attach(copy.deepcopy(plain), SE)
    assert model(X).shape == plain(X).shape
    assert not torch.allclose(model(X), plain(X))


def test_feature_extractor_of_a_segmentation_model() -> None:
    with torch.device("meta"):
        model = tv.segmentation.fcn_resnet50(weights_backbone=None)
        attach(model.backbone, "SE", ticket="zoo:ean-se-resnet50")
        assert model(torch.zeros(1, 3, 64, 64))["out"].shape == (1, 21, 64, 64)


# -- DIA's state -------------------------------------------------------------------------------


def test_state_goes_from_connected_block_to_connected_block_of_a_stage() -> None:
    plain = small()
    model = attach(copy.deepcopy(plain), DIA, ticket=toy("101 10", "DIA"), name="toy")
    x = plain.conv1(X)
    dia = model.attention["stage1"]
    first, state = dia(branch_of_basic_block(plain.layer1[0], x))
    x = plain.layer1[1](torch.relu(x + first))
    second, _ = dia(branch_of_basic_block(plain.layer1[2], x), state)
    x = torch.relu(x + second)
    branch, _ = model.attention["stage2"](branch_of_basic_block(plain.layer2[0], x))
    x = plain.layer2[1](torch.relu(plain.layer2[0].downsample(x) + branch))
    torch.testing.assert_close(model(X), x)


def test_state_starts_anew_at_each_forward_even_after_an_interrupted_one() -> None:
    model = attach(small(), DIA)
    expected = model(X)
    assert torch.equal(model(X), expected)

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    handle = model.layer1[2].register_forward_pre_hook(interrupt)
    with pytest.raises(KeyboardInterrupt):
        model(torch.randn(5, 3, 16, 16))
    handle.remove()
    assert torch.equal(model(X), expected)
    torch.testing.assert_close(model(X[:1]), expected[:1])


def test_activation_checkpointing_gives_the_same_gradients() -> None:
    gradients = []
    for run in (lambda block, x: block(x), partial(checkpoint, use_reentrant=False)):
        model = attach(small(), DIA)
        x = model.conv1(X)
        for block in (*model.layer1, *model.layer2):
            x = run(block, x)
        x.square().sum().backward()
        gradients.append([parameter.grad for parameter in model.attention.parameters()])
    torch.testing.assert_close(*gradients)


# -- start as the pretrained network -----------------------------------------------------------


SGE, CBAM = {"type": "SGE", "groups": 4}, {"type": "CBAM", "reduction": 2}


@pytest.mark.parametrize("family", SMALL)
@pytest.mark.parametrize("attention", [Quarter, SE, DIA, SGE, CBAM])
def test_identity_start_keeps_the_output_under_every_mask(family: str, attention: Any) -> None:
    model = small(family)
    expected = model(X)
    weights = copy.deepcopy(model.state_dict())
    attach(model, attention, init="identity")
    for bits in ([1] * 5, [1, 0, 0, 1, 0], [0] * 5):
        find_backbone(model).set_mask(bits[: model.ticket.num_blocks])
        assert (model(X) - expected).norm() < 1e-6 * expected.norm()
    model.load_state_dict(weights, strict=False)  # the plain network's, which say nothing of it
    assert (model(X) - expected).norm() < 1e-6 * expected.norm()
    detach(model)
    assert torch.equal(model(X), expected)


@pytest.mark.parametrize("attention", [SE, SGE], ids=["in its weights", "on the map"])
def test_the_gain_is_kept_with_the_weights(attention: Any) -> None:
    model = attach(small(), attention, init="identity")
    with torch.no_grad():
        for parameter in model.attention.parameters():
            parameter.add_(0.1)
    assert {key for key in model.state_dict() if key.endswith("gain")} == {
        "attention.stage1.gain",
        "attention.stage2.gain",
    }
    for init in ("default", "identity"):
        twin = attach(small(seed=1), attention, init=init)
        twin.load_state_dict(model.state_dict())
        assert torch.equal(twin(X), model(X))


def test_weights_that_were_trained_without_a_gain_have_none() -> None:
    model = attach(small(), SE)
    twin = attach(small(), SE, init="identity")
    twin.load_state_dict(model.state_dict())
    assert torch.equal(twin(X), model(X))


@pytest.mark.parametrize("init", ["default", "identity"])
def test_the_gain_of_a_checkpoint_is_loaded(init: str, tmp_path: Path) -> None:
    for trained_with in ("default", "identity"):
        model, twin, other = nn.Module(), nn.Module(), nn.Module()
        model.backbone = attach(small(), SE, init=trained_with)
        write_network(model, tmp_path / "network.pth")
        twin.backbone = attach(small(seed=1), SE, init=init)
        load_model(twin, tmp_path / "network.pth")
        other.backbone = attach(small(seed=2), SE, init=init)
        assert "left over" not in str(load_backbone(other, tmp_path / "network.pth"))
        for loaded in (twin, other):
            assert torch.equal(loaded.backbone(X), model.backbone(X))


def test_a_ticket_with_attention_to_fold_is_refused() -> None:
    ticket = attach(small(), SE).ticket
    with pytest.raises(TicketError, match=r"attention that is folded.*ticket.folded\(\)"):
        attach(small(), SE, ticket=ticket.with_asr())


def test_impossible_identity_start_is_refused() -> None:
    model = small()
    weights = copy.deepcopy(model.state_dict())
    with pytest.raises(ConfigError, match="Negation cannot start as a constant"):
        attach(model, Negation, init="identity")
    state = model.state_dict()
    assert list(state) == list(weights)
    assert all(torch.equal(state[key], weights[key]) for key in weights)


# -- copies, files, export ---------------------------------------------------------------------


@pytest.mark.parametrize("attention", [SE, DIA])
@pytest.mark.parametrize("how", ["deepcopy", "pickle", "weights in a file"])
def test_a_copy_calls_its_own_attention(attention: dict, how: str) -> None:
    model = attach(small(), attention)
    expected = model(X)
    if how == "deepcopy":
        twin = copy.deepcopy(model)
    elif how == "pickle":
        twin = pickle.loads(pickle.dumps(model))
    else:
        file = io.BytesIO()
        torch.save(model.state_dict(), file)
        file.seek(0)
        torch.manual_seed(5)  # other initial values
        twin = attach(small(seed=5), attention)
        twin.load_state_dict(torch.load(file, weights_only=True))
    with torch.no_grad():
        for parameter in model.attention.parameters():
            parameter.fill_(1.0)
    assert torch.equal(twin(X), expected)
    assert not torch.allclose(model(X), expected)
    assert "attention" not in dict(detach(twin).named_children())
    assert torch.equal(twin(X), small()(X))


@pytest.mark.slow
@pytest.mark.parametrize("attention", ["SE", "DIA"])
def test_export(attention: str) -> None:
    torch.manual_seed(0)
    model = attach(tv.resnet18().eval(), attention, ticket="full")
    program = torch.export.export(model, (X,), strict=False)
    torch.testing.assert_close(program.module()(X), model(X))
    assert {*program.state_dict, "attention._extra_state"} == set(model.state_dict())


def test_detach_gives_the_plain_network_back() -> None:
    plain = small()
    model = attach(copy.deepcopy(plain), SE)
    assert detach(model) is model
    assert list(model.state_dict()) == list(plain.state_dict())
    assert torch.equal(model(X), plain(X))
    attach(model, DIA)  # nothing is left in the way
    with pytest.raises(ConfigError, match="no attention attached"):
        detach(plain)


# -- tickets -----------------------------------------------------------------------------------


@pytest.mark.parametrize("family", SMALL)
def test_a_saved_ticket_fits_the_same_architecture(family: str, tmp_path: Path) -> None:
    ticket = attach(small(family), SE).ticket
    bits = ticket.with_mask([i % 2 == 0 for i in range(ticket.num_blocks)])
    file = bits.save(tmp_path / "ticket.json")
    assert attach(small(family), SE, ticket=file).ticket == bits


@pytest.mark.parametrize(
    ("build", "found"),
    [
        (tv.resnet34, r"resnet34 \(3-4-6-3"),
        (tv.resnext50_32x4d, r"resnext50_32x4d \(3-4-6-3"),
        (tv.convnext_tiny, r"convnext_96-192-384-768 \(3-3-9-3"),
    ],
)
def test_another_architectures_ticket_is_refused_naming_both(build: Any, found: str) -> None:
    with torch.device("meta"):
        model = build()
    with pytest.raises(TicketError, match=rf"resnet50 \(3-4-6-3 .* network has {found}"):
        attach(model, "SGE", ticket="zoo:ean-sge-resnet50")


@pytest.mark.slow
@pytest.mark.parametrize("source", ["torchvision", "timm"])
def test_published_ticket_on_a_resnet50(source: str) -> None:
    build = tv.resnet50 if source == "torchvision" else pytest.importorskip("timm").models.resnet50
    model = attach(build().eval(), "SGE", ticket="zoo:ean-sge-resnet50")
    assert str(model.ticket) == "100 1011 010011 011"
    assert sum(p.numel() for p in model.attention.parameters()) == 4 * 128
    assert model(X).isfinite().all()


@pytest.mark.parametrize("first", ["model", "part", "none"])
def test_attaching_twice_is_refused(first: str) -> None:
    model = small()
    if first == "none":
        attach(model, None, ticket="none")
    else:
        attach(model if first == "model" else model.layer1, SE)
    with pytest.raises(ConfigError, match="already has.*detach"):
        attach(model, SE)


def test_unknown_init_is_refused() -> None:
    with pytest.raises(ConfigError, match="'default' or 'identity', found 'zero'"):
        attach(small(), SE, init="zero")


# -- timm --------------------------------------------------------------------------------------


def test_timms_resnets() -> None:
    timm = pytest.importorskip("timm")
    torch.manual_seed(0)
    plain = timm.models.resnet.ResNet(
        timm.models.resnet.Bottleneck,
        layers=(2, 1, 1, 1),
        channels=(8, 8, 16, 16),
        num_classes=5,
        zero_init_last=False,
    ).eval()
    model = attach(copy.deepcopy(plain), SE)
    assert sizes(model) == [2, 1, 1, 1]
    ours, theirs = model.layer1[1], plain.layer1[1]
    x = torch.randn(2, 32, 6, 6)
    branch = theirs.bn3(
        theirs.conv3(
            theirs.act2(theirs.bn2(theirs.conv2(theirs.act1(theirs.bn1(theirs.conv1(x))))))
        )
    )
    expected = torch.relu(x + model.attention["stage1"](branch)[0])
    torch.testing.assert_close(ours(x), expected)
    torch.testing.assert_close(attach(plain, Quarter, init="identity")(X), detach(model)(X))


def test_replaced_layers_are_noticed() -> None:
    model = attach(small(), SE)
    nn.SyncBatchNorm.convert_sync_batchnorm(model)
    with pytest.raises(ConfigError, match="block layer1.0 has lost its attention"):
        model(X)


def test_attention_follows_converted_layers_with_its_mask() -> None:
    model = attach(small(), SE, memory="lean").eval()
    expected = model(X)
    set_mask(model, (False, True, False, True, True))
    masked = model(X)
    nn.SyncBatchNorm.convert_sync_batchnorm(model)
    for _ in range(2):
        follow_layers(model)
        torch.testing.assert_close(model(X), masked, rtol=0, atol=0)
    set_mask(model, (True,) * 5)
    torch.testing.assert_close(model(X), expected, rtol=0, atol=0)


def test_a_ticket_names_the_places_that_a_user_named(tmp_path: Path) -> None:
    first = attach(small(), SE, at=["layer2.*", "layer1.?"], example=X)
    file = first.ticket.save(tmp_path / "ticket.json")
    second = attach(small(), ticket=file, example=X)  # the ticket says where
    second.load_state_dict(first.state_dict())
    assert torch.equal(second(X), first(X))
    assert second.ticket == first.ticket
    assert find_backbone(second).places == [*second.layer1, *second.layer2]
    assert len(first.ticket.backbone.places) == 5
    with pytest.raises(ConfigError, match="'layer1.0' matches no module of MobileNetV2"):
        attach(small("mobilenet_v2"), ticket=file, example=X)


def test_weights_of_other_places_are_refused() -> None:
    weights = attach(small(), SE, at="layer1.0", example=X).state_dict()
    other = attach(small(), SE, at="layer1.1", example=X)
    with pytest.raises(TicketError, match="with the ticket of the weights"):
        other.load_state_dict(weights)


def test_a_ticket_may_be_carried_to_other_places_which_it_names_then() -> None:
    ticket = attach(small(), SE, at=["layer1.0", "layer1.1"], example=X).ticket.with_mask((1, 0))
    assert ticket.backbone.places == ("layer1.0", "layer1.1")
    whole = attach(
        nn.Sequential(small()), ticket=ticket, at=["0.layer1.1", "0.layer1.2"], example=X
    )
    assert whole.ticket.backbone.places == ("0.layer1.1", "0.layer1.2")
    assert find_backbone(whole).mask == (True, False)


def test_places_that_run_in_another_order_are_refused() -> None:
    class Turned(type(small())):
        def forward(self, x: Tensor) -> Tensor:
            x = self.conv1(x)
            for block in reversed(self.layer1):
                x = block(x)
            return self.layer2(x)

    ticket = attach(small(), SE, at="layer1.*", example=X).ticket
    with pytest.raises(TicketError, match=r"order of places layer1.0, .* has layer1.2, "):
        attach(Turned(), ticket=ticket, example=X)


def test_weights_of_another_ticket_are_refused() -> None:
    weights = attach(small(), SE).state_dict()
    ticket = toy("101 01", attention_options={"reduction": 2})
    with pytest.raises(TicketError, match="with the ticket of the weights"):
        attach(small(), SE, ticket=ticket, name="toy").load_state_dict(weights)


def test_a_backbone_with_attention_of_its_own_is_not_detached() -> None:
    net = build_backbone("resnet20_cifar", SE)
    with pytest.raises(ConfigError, match="has no attention attached"):
        detach(net)
    assert net.ticket.connected == 9


def test_wrapped_models_are_refused() -> None:
    with pytest.raises(ConfigError, match="DataParallel wraps the model"):
        attach(nn.DataParallel(small()), SE)


def test_blocks_that_share_their_last_layer_are_refused() -> None:
    net = small()
    net.layer1[1].bn2 = net.layer1[0].bn2
    with pytest.raises(ConfigError, match=r"blocks layer1.0 and layer1.1 share their last layer"):
        attach(net, SE)
    assert attach(net, SE, at="layer1.*", example=X).ticket.num_blocks == 3
