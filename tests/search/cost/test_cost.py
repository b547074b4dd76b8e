"""What a mask costs agrees with the network that the mask stands for."""

from __future__ import annotations

import math
from itertools import product

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from ean_transfer.analysis.latency import WARM_UP
from ean_transfer.attachment.attach import attach
from ean_transfer.attachment.network import MaskableNetwork, find_backbone
from ean_transfer.attachment.parameters import count_attention_parameters
from ean_transfer.backbones import TicketResNetCIFAR
from ean_transfer.errors import ConfigError
from ean_transfer.search.cost import measuring
from ean_transfer.search.cost.counting import attention_macs
from ean_transfer.search.cost.table import COSTS, CostTable, cost_table, load_cost_table
from tests.search.tables import toy_table

SHAPE = (2, 3, 16, 16)
SE = dict(type="SE", reduction=4)


def network(attention=SE, sharing="stage", ticket="full", **kwargs) -> TicketResNetCIFAR:
    kwargs.setdefault("depth", 14)
    return TicketResNetCIFAR(
        attention=attention, sharing=sharing, ticket=ticket, base_channels=4, **kwargs
    )


@pytest.mark.parametrize("sharing", ["stage", "block"])
@pytest.mark.parametrize(
    "attention", [SE, dict(type="DIA", reduction=4), dict(type="SGE", groups=4)]
)
def test_params_are_those_of_the_masks_ticket_network(attention, sharing) -> None:
    supernet = network(attention, sharing)
    table = cost_table("params", supernet)
    stages = list(product([False, True], repeat=2))
    for i, j in product(range(4), repeat=2):  # two stages have every combination of their masks
        mask = stages[i] + stages[j] + stages[(i + j) % 4]
        net = network(attention, sharing, supernet.ticket.with_mask(mask))
        assert table.of(mask) == count_attention_parameters(net)


def test_macs_of_se_are_its_formula() -> None:
    # Pooling and weighting take in each of the C H W values once; two small matrices.
    expected = [
        2 * c * side**2 + 2 * c * (c // 4)
        for c, side in ((4, 16), (4, 16), (8, 8), (8, 8), (16, 4), (16, 4))
    ]
    assert attention_macs(network(), torch.zeros(1, *SHAPE[1:])) == expected
    table = cost_table("macs", network(), SHAPE)
    assert table.of((True, False, False, False, False, True)) == expected[0] + expected[5]


@pytest.mark.parametrize("attention", [dict(type="DIA", reduction=4), dict(type="SGE", groups=4)])
def test_macs_grow_with_the_image(attention) -> None:
    small, large = (attention_macs(network(attention), torch.zeros(1, 3, s, s)) for s in (16, 32))
    assert all(0 < a < b for a, b in zip(small, large, strict=True))


def test_stages_that_were_not_built_cost_nothing() -> None:
    supernet = network(num_stages=2, strides=(1, 2), dilations=(1, 1), out_indices=(1,))
    for cost in ("params", "macs", "latency"):
        table = cost_table(cost, supernet, SHAPE, rounds=2)
        assert table.connections[4:] == (0.0, 0.0) and table.stages[2] == 0.0


def test_the_network_is_left_as_it_was() -> None:
    supernet = network()
    supernet.train()
    supernet.layer1.eval()
    mask = (True, False, True, False, False, True)
    supernet.set_mask(mask)
    before = {name: value.clone() for name, value in supernet.state_dict().items()}
    random = torch.random.get_rng_state()
    for cost in set(COSTS) - {"latency_compiled"}:
        cost_table(cost, supernet, SHAPE, rounds=2)
    cost_table("latency", supernet, SHAPE, rounds=2, method="toggle")
    assert supernet.mask == mask
    assert supernet.training and not supernet.layer1.training and supernet.layer2.training
    assert torch.equal(random, torch.random.get_rng_state())
    assert not any(m._forward_pre_hooks or m._forward_hooks for m in supernet.modules())
    for name, value in supernet.state_dict().items():
        assert torch.equal(value, before[name])


PERCENT = [1, 2, -3, 4, 5, 6]


@pytest.fixture
def clock(monkeypatch):
    """A plain forward takes 8 ms, each connection some percent more; one saves time."""

    def forward_ms(variant, inputs) -> float:
        return 8 * (1 + sum(p for p, bit in zip(PERCENT, variant.mask, strict=True) if bit) / 100)

    monkeypatch.setattr(measuring, "forward_ms", forward_ms)


def test_latency_is_plain_plus_increments_and_never_less(clock) -> None:
    table = cost_table("latency", network(), SHAPE, rounds=4, method="toggle")
    assert table.none == pytest.approx(8.0) and table.unit == "ms"
    assert table.of((False, True, False, True, False, False)) == pytest.approx(8.48)
    assert table.connections[2] == pytest.approx(-0.24)  # as measured
    assert table.of((False, False, True, False, False, False)) == pytest.approx(8.0)
    assert table.relative((True,) * 6) == 1.0 and table.relative((False,) * 6) == 0.0


def test_latency_says_how_it_was_measured(clock, tmp_path) -> None:
    table = cost_table("latency", network(), SHAPE, rounds=4, method="toggle")
    measured = table.measurement
    assert measured.input_shape == SHAPE and measured.rounds == 4
    assert measured.torch == torch.__version__ and measured.threads == torch.get_num_threads()
    assert measured.device
    assert measured.full == pytest.approx(8.0 * 1.15)  # the sum without what is clipped is 1.18
    assert CostTable.load(table.save(tmp_path / "tables" / "latency.json")) == table


def test_latency_is_measured_on_the_masks_it_names() -> None:
    supernet = network()
    seen = []
    supernet.register_forward_pre_hook(lambda module, _: seen.append(module.mask))
    cost_table("latency", supernet, SHAPE, rounds=2, method="toggle")
    timed = seen[8 * WARM_UP :]  # none, full and each connection alone
    assert len(timed) == 2 * 2 * 7
    for pair in zip(timed[::2], timed[1::2], strict=True):
        assert (False,) * 6 in pair  # each mask next to the plain network
    assert {sum(mask) for mask in timed} == {0, 1, 6} and len(set(timed)) == 8


def test_latency_within_a_forward_shares_out_what_full_costs(clock, monkeypatch) -> None:
    monkeypatch.setattr(measuring, "_attention_ms", lambda *_: [0.1] * 4 + [0.2] * 2)
    table = cost_table("latency", network(), SHAPE, rounds=4, method="within")
    assert table.connections == pytest.approx([0.15] * 4 + [0.3] * 2)  # 15 % of 8 ms in all
    assert table.full == pytest.approx(table.measurement.full)
    assert table.measurement.quartiles[5] == pytest.approx((0.3, 0.3))


def test_latency_within_a_forward_times_every_call() -> None:
    table = cost_table("latency", network(), SHAPE, rounds=2, method="within")
    assert all(increment > 0 for increment in table.connections)
    assert len(table.measurement.quartiles) == 6


@given(st.lists(st.booleans(), min_size=6, max_size=6), st.integers(0, 5))
def test_connecting_one_more_block_never_costs_less(mask, block) -> None:
    table = toy_table(
        "latency",
        (0.1, -0.2, 0.3, 0.0, 1.0, 2.0),
        blocks=(2, 2, 2),
        plain=8.0,
        stages=(1.0, 0.0, 0.5),
    )
    more = [bit or i == block for i, bit in enumerate(mask)]
    assert table.of(more) >= table.of(mask)
    assert 0.0 <= table.relative(mask) <= 1.0


def test_a_table_of_nothing_is_relatively_nothing() -> None:
    table = cost_table("params", network()).model_copy(update={"stages": (0.0,) * 3})
    assert table.relative((True,) * 6) == 0.0


def test_sparsity_is_the_share_connected() -> None:
    table = cost_table("sparsity", network())
    assert table.of((True, False, True, False, False, False)) == 2 / 6
    assert math.fsum(table.connections) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("cost", "options", "words"),
    [
        ("time", {}, ["sparsity", "latency", "time"]),
        ("macs", {}, ["input_shape"]),
        ("latency", dict(input_shape=(32, 32)), ["input_shape", "(32, 32)"]),
        ("latency", dict(input_shape=SHAPE, rounds=1), ["rounds", "1"]),
        ("latency", dict(input_shape=SHAPE, method="guess"), ["toggle", "within", "guess"]),
    ],
)
def test_what_cannot_be_counted_is_refused(cost, options, words) -> None:
    with pytest.raises(ConfigError) as error:
        cost_table(cost, network(), **options)
    assert all(word in str(error.value) for word in words)


def test_costs_are_counted_on_a_supernet() -> None:
    with pytest.raises(ConfigError, match="ticket='full'"):
        cost_table("params", network(attention=None, ticket=None))
    with pytest.raises(ValueError):
        cost_table("params", network()).of((True,) * 5)


def test_the_table_of_another_network_or_cost_is_refused_by_file(tmp_path) -> None:
    file = cost_table("params", network()).save(tmp_path / "mine.json")
    assert load_cost_table("params", file, network().ticket) == CostTable.load(file)
    with pytest.raises(ConfigError, match="mine.json: .*sharing block.*stage"):
        load_cost_table("params", file, network(sharing="block").ticket)
    with pytest.raises(ConfigError, match="mine.json: .*cost macs.*params"):
        load_cost_table("macs", file, network().ticket)


def test_the_table_of_other_places_is_refused(tmp_path) -> None:
    def at(name: str) -> MaskableNetwork:
        model = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 1))
        return find_backbone(attach(model, SE, at=name, example=torch.zeros(1, 3, 4, 4)))

    first, other = at("0"), at("1")
    file = cost_table("params", first).save(tmp_path / "mine.json")
    assert load_cost_table("params", file, first.ticket).places == first.ticket.backbone.places
    with pytest.raises(ConfigError, match="mine.json: .*places .*1.*, found one of .*0"):
        load_cost_table("params", file, other.ticket)


def test_what_is_no_cost_table_is_refused_by_file(tmp_path) -> None:
    with pytest.raises(ConfigError, match="absent.json: no such cost table"):
        CostTable.load(tmp_path / "absent.json")
    (tmp_path / "other.json").write_text('{"cost": "params"}')
    with pytest.raises(ConfigError, match="other.json: .*backbone"):
        CostTable.load(tmp_path / "other.json")
    table = cost_table("params", network())
    short = table.model_dump_json().replace('"blocks":[2,2,2]', '"blocks":[2,2,3]')
    (tmp_path / "short.json").write_text(short)
    with pytest.raises(ConfigError, match="3 stages and 7 connections, found 3 and 6"):
        CostTable.load(tmp_path / "short.json")
