"""Names of backbones and what they say of the blocks."""

from __future__ import annotations

import pytest

from ean_transfer import Ticket, TicketError
from ean_transfer.backbones import BACKBONES
from ean_transfer.errors import ConfigError
from ean_transfer.ticket.architectures import (
    EXAMPLES,
    PATTERNS,
    PRERESNET_CIFAR,
    RESNET_CIFAR,
    RESNEXT,
    RESNEXT_CIFAR,
    WRN_CIFAR,
    blocks_per_stage,
    layout_of,
    parse_name,
)


def test_every_pattern_has_an_example_and_a_class() -> None:
    assert tuple(parse_name(name)[0] for name in EXAMPLES) == PATTERNS == tuple(BACKBONES)


@pytest.mark.parametrize(
    ("name", "blocks"),
    [
        ("resnet50", (3, 4, 6, 3)),
        ("resnet152", (3, 8, 36, 3)),
        ("resnext101_32x8d", (3, 4, 23, 3)),
        ("resnet20_cifar", (3, 3, 3)),
        ("preresnet164_cifar", (18, 18, 18)),
        ("preresnet1001_cifar", (111, 111, 111)),
        ("wrn52_4_cifar", (8, 8, 8)),
        ("resnext29_8x64d_cifar", (3, 3, 3)),
    ],
)
def test_a_name_gives_the_blocks_of_each_stage(name: str, blocks: tuple[int, ...]) -> None:
    assert blocks_per_stage(name) == blocks
    assert Ticket.full(name).backbone.blocks == blocks


@pytest.mark.parametrize(
    "name",
    [
        "resnet51",
        "resnext18_32x4d",
        "resnet20",
        "resnet2_cifar",
        "resnet020_cifar",
        "wrn4_2_cifar",
        "wrn52_cifar",
        "wrn52_0_cifar",
        "resnet20_cifar\n",
        f"resnet{'9' * 5000}_cifar",  # Python converts no number as long
    ],
)
def test_names_of_no_network_have_no_blocks(name: str) -> None:
    assert blocks_per_stage(name) is None


@pytest.mark.parametrize("pattern", [RESNET_CIFAR, PRERESNET_CIFAR])
def test_basic_blocks_where_they_fit_and_bottlenecks_in_164_as_published(pattern: str) -> None:
    kinds = {depth: layout_of(pattern, depth)[0] for depth in (8, 14, 20, 32, 44, 56, 110, 164)}
    assert {depth for depth, kind in kinds.items() if kind == "bottleneck"} == {164}
    assert layout_of(pattern, 29) == ("bottleneck", (3, 3, 3))


@pytest.mark.parametrize(
    ("pattern", "depth", "nearest"),
    [
        (PRERESNET_CIFAR, 165, "164 and 170"),
        (RESNET_CIFAR, 28, "26 and 29"),
        (RESNET_CIFAR, 3, "8"),
        (WRN_CIFAR, 50, "46 and 52"),
        (RESNEXT_CIFAR, 100, "92 and 101"),
        (RESNEXT, 34, "50"),
        (RESNEXT, 200, "152"),
    ],
)
def test_other_depths_are_refused_and_the_nearest_named(
    pattern: str, depth: int, nearest: str
) -> None:
    with pytest.raises(ConfigError, match=f"found {depth}: nearest {nearest}$") as error:
        layout_of(pattern, depth)
    assert "{" not in str(error.value)  # a message names networks and not the code's templates
    for name in nearest.split(" and "):
        layout_of(pattern, int(name))


def test_a_ticket_of_an_unknown_backbone_says_what_there_is() -> None:
    with pytest.raises(TicketError, match="unknown backbone 'wrn50_4_cifar'.*nearest 46 and 52"):
        Ticket.full("wrn50_4_cifar")
    with pytest.raises(
        TicketError, match="unknown backbone 'net'.*such as resnet50.*wrn52_4_cifar"
    ):
        Ticket.full("net")
    with pytest.raises(TicketError, match="wrn16_8_cifar has 2-2-2 blocks"):
        Ticket.full("wrn16_8_cifar", blocks=(3, 3, 3))
