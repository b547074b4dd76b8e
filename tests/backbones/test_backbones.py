"""Ticketed backbones: the plain network, the ticket's network, the supernet."""

from __future__ import annotations

import copy
import itertools
import logging
from collections.abc import Iterator

import pytest
import torch
from mmengine.logging import MMLogger
from mmpretrain.models import ResNet

from ean_transfer import Ticket, TicketError, build_backbone
from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.backbones import TicketResNet, TicketResNetCIFAR
from ean_transfer.errors import ConfigError

# Eight channels keep the tests quick. Residual branches that start at zero would hide what the
# attention does.
SMALL = {"base_channels": 8, "zero_init_residual": False}
OPTIONS = {
    "SE": {"type": "SE", "reduction": 4},
    "SGE": {"type": "SGE", "groups": 4},
    "DIA": {"type": "DIA", "reduction": 4},
}
SPARSE = "010 001 110"


def cifar(attention: str, ticket: object, sharing: str = "stage", **kwargs) -> TicketResNetCIFAR:
    torch.manual_seed(0)
    return build_backbone("resnet20_cifar", OPTIONS[attention], sharing, ticket, **SMALL | kwargs)


def sparse(attention: str, sharing: str = "stage", bits: str = SPARSE) -> Ticket:
    return Ticket.from_bits(bits, "resnet20_cifar", attention, sharing=sharing)


@pytest.mark.parametrize("depth", [18, 50])
def test_ticket_none_is_mmpretrains_resnet_key_for_key_and_bit_for_bit(depth: int) -> None:
    ours = build_backbone(
        f"resnet{depth}",
        "SE",
        ticket="none",
        out_indices=(0, 1, 2, 3),
        zero_init_residual=False,
    )
    plain = ResNet(depth, out_indices=(0, 1, 2, 3))
    assert list(ours.state_dict()) == list(plain.state_dict())
    plain.load_state_dict(ours.state_dict())
    x = torch.randn(2, 3, 64, 64)
    for mode in (True, False):
        ours.train(mode)
        plain.train(mode)
        assert all(map(torch.equal, ours(x), plain(x)))


def test_same_seed_gives_mmpretrains_initial_weights() -> None:
    torch.manual_seed(3)
    plain = ResNet(18)
    plain.init_weights()
    torch.manual_seed(3)
    full = build_backbone("resnet18", "SE", ticket="full")
    weights = full.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in plain.state_dict().items())


def test_cifar_resnet20_has_he_et_als_parameters() -> None:
    # 269,722 in all, 650 of them the classifier's; plus projection shortcuts with BatchNorm.
    net = build_backbone("resnet20_cifar")
    projections = 16 * 32 + 32 * 64 + 2 * (32 + 64)
    assert sum(p.numel() for p in net.parameters()) == 269_722 - 650 + projections


@pytest.mark.parametrize("name", ["resnet110_cifar", "resnet164_cifar"])
def test_deep_cifar_resnets_have_three_stages_at_strides_1_2_4(name: str) -> None:
    net = TicketResNetCIFAR(int(name[6:9]), base_channels=4, out_indices=(0, 1, 2))
    maps = net(torch.randn(1, 3, 32, 32))
    assert [tuple(m.shape[2:]) for m in maps] == [(32, 32), (16, 16), (8, 8)]
    assert [len(stage) for stage in net.stages] == [18, 18, 18]


def test_stage_without_connection_has_no_attention_parameter() -> None:
    net = cifar("SE", sparse("SE", bits="000 100 000"))
    keys = [name for name in net.state_dict() if "attention" in name]
    assert keys and all(name.startswith("layer2.attention.") for name in keys)


@pytest.mark.parametrize(("sharing", "modules"), [("stage", [1, 1, 1]), ("block", [1, 1, 2])])
def test_attention_parameters_follow_formula_and_sharing(sharing: str, modules: list[int]) -> None:
    net = cifar("SE", sparse("SE", sharing), sharing)
    formula = [2 * c * (c // 4) + c // 4 + c for c in (8, 16, 32)]
    assert count_attention_parameters(net) == sum(map(int.__mul__, modules, formula))


def test_unconnected_blocks_do_not_advance_dias_state() -> None:
    net = cifar("DIA", sparse("DIA", bits="101 000 000"))
    states = []
    net.layer1.attention.register_forward_hook(lambda _, args, out: states.append((args, out)))
    for _ in range(2):
        net(torch.randn(1, 3, 32, 32))
    first, second, third, _ = states
    assert first[0][1] is None and third[0][1] is None  # anew at each forward
    assert second[0][1] is first[1][1]


def test_set_mask_refuses_what_was_not_built_and_wrong_lengths() -> None:
    net = cifar("SE", sparse("SE"))
    with pytest.raises(ConfigError, match="no attention to connect"):
        net.set_mask([True] * 9)
    assert net.mask == sparse("SE").mask  # not in part
    with pytest.raises(TicketError, match="9 blocks.*found 8"):
        net.set_mask([False] * 8)
    with pytest.raises(TicketError, match="found the text.*'000000000'"):
        net.set_mask("000000000")


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"out_indices": (0, 3)}, r"from 0 to 2, found \(0, 3\)"),
        ({"out_indices": (-1,)}, r"from 0 to 2, found \(-1,\)"),
        ({"out_indices": ()}, "from 0 to 2, found"),
        ({"frozen_stages": 4}, "at most 3, the number of stages, found 4"),
        ({"dilations": (1, 1)}, r"dilations.*each of the 3 stages.*\(1, 1\)"),
    ],
)
def test_stages_that_are_not_there_are_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        cifar("SE", "full", **kwargs)


def test_every_mask_of_a_small_supernet_runs() -> None:
    net = build_backbone("resnet8_cifar", OPTIONS["DIA"], **SMALL).eval()
    x = torch.randn(1, 3, 16, 16)
    outputs = []
    for mask in itertools.product([False, True], repeat=3):
        net.set_mask(mask)
        assert net.mask == mask
        outputs.append(net(x)[0])
    assert len({round(float(y.detach().abs().sum()), 5) for y in outputs}) == 8


@pytest.mark.parametrize(
    ("kwargs", "message"),
    [
        ({"ticket": "zoo:ean-sge-resnet50", "attention": "SE"}, "attention SGE.*network has SE"),
        (
            {"ticket": "zoo:ean-se-resnet50", "attention": {"type": "SE", "reduction": 8}},
            "reduction 16.*network has 8",
        ),
        (
            {"ticket": "zoo:ean-se-resnet50", "attention": "SE", "sharing": "block"},
            "sharing stage.*network has block",
        ),
        (
            {"ticket": sparse("SE"), "attention": "SE"},
            "resnet20_cifar.*3-3-3.*resnet50.*3-4-6-3",
        ),
        ({"ticket": "no/such.json", "attention": "SE"}, "no/such.json: no such ticket file"),
    ],
)
def test_a_ticket_that_does_not_fit_is_refused(kwargs: dict, message: str) -> None:
    with pytest.raises(TicketError, match=message):
        build_backbone("resnet50", **kwargs)


def test_the_ticket_decides_what_is_not_given(tmp_path) -> None:
    ticket = sparse("SE", "block").replace(attention_options={"reduction": 4})
    file = ticket.save(tmp_path / "ticket.json")
    given = build_backbone("resnet20_cifar", {"type": "SE", "reduction": 4}, "block", ticket)
    for net in (build_backbone(ticket=file), build_backbone(ticket=ticket.model_dump())):
        assert net.ticket == given.ticket
        assert net.state_dict().keys() == given.state_dict().keys()
    with pytest.raises(ConfigError, match="expected the backbone's name.*found ticket='full'"):
        build_backbone(ticket="full")


def test_unknown_names_and_depths_list_what_there_is() -> None:
    with pytest.raises(ConfigError, match="'vgg16'.*such as resnet50.*resnet20_cifar"):
        build_backbone("vgg16")
    with pytest.raises(ConfigError, match=r"depths 6n\+2 .* or 9n\+2 .*21: nearest 20 and 26"):
        TicketResNetCIFAR(21)
    with pytest.raises(ConfigError, match="depths 18, 34.*found 51: nearest 50 and 101"):
        build_backbone("resnet51")
    with pytest.raises(TicketError, match="sharing.*'stage' or 'block'.*'blocks'"):
        build_backbone("resnet18", "SE", "blocks")


def test_eval_and_train_return_the_network_and_it_copies() -> None:
    net = cifar("SE", sparse("SE"))
    assert net.eval() is net and net.train() is net
    assert copy.deepcopy(net).ticket == net.ticket


@pytest.fixture
def logged() -> Iterator[list[str]]:
    """The messages that mmengine logs."""
    messages: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: messages.append(record.getMessage())
    logger = MMLogger.get_current_instance()
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield messages
    logger.removeHandler(handler)
    logger.setLevel(level)


def test_unused_bits_of_a_cut_network_are_reported(logged: list[str]) -> None:
    ticket = Ticket.load("zoo:ean-sge-resnet50")
    net = TicketResNet(
        50,
        "SGE",
        ticket=ticket,
        num_stages=3,
        strides=(1, 2, 1),
        dilations=(1, 1, 1),
        out_indices=(2,),
    )
    assert len(logged) == 1 and "bits for stage 4 (011) are not used" in logged[0]
    assert net.ticket.id == ticket.id
    net.set_mask(ticket)  # the whole ticket's, with the stage that was not built


@pytest.mark.parametrize("name", ["resnet20_cifar", "preresnet20_cifar"])
def test_frozen_attention_and_unused_folding_are_reported(name: str, logged: list[str]) -> None:
    ticket = Ticket.from_bits("100 000 000", name, asr=("000", "000", "010"))
    build_backbone(name, "SE", ticket=ticket, frozen_stages=2, out_indices=(1,))
    assert len(logged) == 2
    assert "stage 1 is frozen" in logged[0] and "(100)" in logged[0]
    assert "bits for stage 3 (asr 010) are not used" in logged[1]


@pytest.mark.slow
def test_torchvisions_resnet50_state_dict_loads_with_no_key_missing() -> None:
    torchvision = pytest.importorskip("torchvision")
    theirs = torchvision.models.resnet50().eval()
    ours = build_backbone("resnet50", "SE", ticket="none").eval()
    report = ours.load_state_dict(theirs.state_dict(), strict=False)
    assert not report.missing_keys and set(report.unexpected_keys) == {"fc.weight", "fc.bias"}
    x = torch.randn(1, 3, 64, 64)
    features = torch.nn.Sequential(*list(theirs.children())[:-2])
    torch.testing.assert_close(ours(x)[0], features(x))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["ean-sge-resnet50", "ean-dia-resnet50", "ean-se-resnet50"])
def test_zoo_tickets_build_and_run(name: str) -> None:
    ticket = Ticket.load(f"zoo:{name}")
    options = {"type": ticket.attention, **ticket.attention_options}
    net = build_backbone("resnet50", options, ticket=f"zoo:{name}", base_channels=64).eval()
    (y,) = net(torch.randn(1, 3, 64, 64))
    assert y.shape == (1, 2048, 2, 2)
    assert net.mask == ticket.mask
