"""What connections are worth, and what is proposed for them."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from ean_transfer import Ticket, attach, build_backbone
from ean_transfer.asr import BlockAnalysis, fold, fold_means
from ean_transfer.asr.compare import folded_scores
from ean_transfer.asr.report import BlockReport, apply, block_names
from ean_transfer.errors import ConfigError
from ean_transfer.supernet import find_backbone
from tests.attachment.networks import small

IMAGES = torch.randn(6, 3, 16, 16, generator=torch.Generator().manual_seed(1))


def network(bits: str = "11 10 01", sharing: str = "stage", **kwargs) -> nn.Module:
    torch.manual_seed(0)
    ticket = Ticket.from_bits(
        bits, "resnet14_cifar", attention_options={"reduction": 2}, sharing=sharing
    )
    net = build_backbone(
        "resnet14_cifar",
        {"type": "SE", "reduction": 2},
        sharing,
        ticket,
        base_channels=8,
        zero_init_residual=False,
        **kwargs,
    )
    with torch.no_grad():
        for parameter in net.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
    return net.eval()


class Distance:
    """Minus the distance to a network's output: a metric whose losses are known."""

    def __init__(self, net: nn.Module) -> None:
        self.expected = self.output(net)
        self.calls = 0

    @staticmethod
    @torch.no_grad()
    def output(net: nn.Module) -> Tensor:
        return net(IMAGES)[-1]

    def __call__(self, net: nn.Module) -> float:
        self.calls += 1
        return -float((self.output(net) - self.expected).norm())


@pytest.mark.parametrize("sharing", ["stage", "block"])
def test_each_connection_is_changed_alone(sharing: str) -> None:
    net = network(sharing=sharing)
    score = Distance(net)
    analysis = BlockAnalysis(net, [IMAGES], score)
    blocks = analysis.blocks()
    assert [b.name for b in blocks] == ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2"]
    assert [b.connected for b in blocks] == [True, True, True, False, False, True]
    for report in blocks:
        if not report.connected:
            assert (report.stripe, report.drop, report.fold) == (None, None, None)
            continue
        mask = list(net.mask)
        mask[report.block] = False
        net.set_mask(mask)
        assert report.drop == pytest.approx(-score(net), rel=1e-4)
        net.set_mask(net.ticket)
        folded = fold_means(net, [IMAGES], [report.block])
        assert report.fold == pytest.approx(-score(folded), rel=1e-4)
        assert report.drop > report.fold > 0 and report.stripe > 0
    assert net.mask == net.ticket.mask and score(net) == 0.0


def test_a_metric_that_is_to_be_small_is_lost_when_it_grows() -> None:
    net = network()
    score = Distance(net)
    plain = BlockAnalysis(net, [IMAGES], score).blocks()
    turned = BlockAnalysis(net, [IMAGES], lambda n: -score(n), higher_is_better=False).blocks()
    assert [b.drop for b in turned] == pytest.approx([b.drop for b in plain], nan_ok=True)


def test_attention_that_is_attached_to_another_network_is_refused() -> None:
    net = attach(small(), {"type": "SE", "reduction": 2})
    with pytest.raises(ConfigError, match="TicketResNet, to read .* found resnet_basic"):
        BlockAnalysis(net, [IMAGES], lambda _: 0.0)


def test_a_proposal_keeps_to_its_budget_and_is_what_was_measured() -> None:
    net = network()
    score = Distance(net)
    analysis = BlockAnalysis(net, [IMAGES], score)
    blocks = analysis.blocks()
    cheapest = min(b.fold for b in blocks if b.connected)
    nothing = analysis.propose(blocks, 0.0)
    assert set(nothing.actions.values()) == {"keep"} and nothing.lost == 0.0
    one = analysis.propose(blocks, cheapest * 1.001)
    assert sorted(one.actions.values()) == ["fold", "keep", "keep", "keep"]
    every = analysis.propose(blocks, 1e9)
    assert set(every.actions.values()) == {"fold"}
    for proposal in (nothing, one, every):
        proposed = analysis.proposed(proposal)
        assert -score(proposed) == pytest.approx(proposal.lost, abs=1e-6)
        assert proposal.lost <= proposal.budget
        kept = [block for block, action in proposal.actions.items() if action == "keep"]
        ticket = find_backbone(proposed).ticket
        assert [block for block, bit in enumerate(ticket.mask) if bit] == kept
    with pytest.raises(ConfigError, match="budget.*0, found -1"):
        analysis.propose(blocks, -1)


def test_what_loses_nothing_is_dropped_and_a_candidate_over_the_budget_is_passed() -> None:
    net = network("11 00 00")
    losses = {"00": 3.0, "10": 0.0, "01": 0.4, "11": 0.0}  # of the first stage's bits
    analysis = BlockAnalysis(
        net, [IMAGES], lambda n: -losses["".join("01"[bit] for bit in n.mask[:2])]
    )
    blocks = analysis.blocks()
    assert [(b.drop, b.fold) for b in blocks[:2]] == [(0.4, 0.4), (0.0, 0.0)]
    assert analysis.propose(blocks, 1.0).actions == {0: "keep", 1: "drop"}
    assert analysis.propose(blocks, 3.0).actions == {0: "drop", 1: "drop"}
    given = [BlockReport(0, "1.1", True, 0.1, 0.1, 0.2), BlockReport(1, "1.2", True, 0.1, 2, 1)]
    proposal = analysis.propose(given, 0.4)
    assert proposal.actions == {0: "drop", 1: "keep"} and proposal.lost == 0.4


def test_dropping_and_folding_together() -> None:
    net = network("11 10 01", "block")
    means = {block: torch.full((8 * 2 ** (block // 2),), 0.5) for block in (0, 1, 2, 5)}
    changed = apply(net, {0: "drop", 1: "fold", 2: "keep"}, means)
    assert str(changed.ticket) == "00 10 01"
    before, after = (dict(n.named_modules())["layer1"] for n in (net, changed))
    for block, factor in ((0, 1.0), (1, 0.5)):
        old, new = (list(stage)[block].last_affine().weight for stage in (before, after))
        assert torch.allclose(new, factor * old)
    assert len(list(net.layer1[0].attention.parameters())) > 0  # the given one is left as it is


def test_reparameterised_attention_is_folded_first() -> None:
    net = network(asr="before")
    analysis = BlockAnalysis(net, [IMAGES], Distance(net))
    assert abs(analysis.base) < 1e-5 * float(Distance.output(net).norm())
    assert not find_backbone(analysis.model).ticket.to_fold
    assert sum(b.connected for b in analysis.blocks()) == 4
    with pytest.raises(ConfigError, match="no attention to look at"):
        BlockAnalysis(network(asr=True), [IMAGES], Distance(net))


def test_scores_of_a_network_folded_step_by_step() -> None:
    net = network(asr="before")
    score = Distance(net)
    found = folded_scores(net, [IMAGES], score)
    size = float(Distance.output(net).norm())
    assert found["as trained"] == 0.0 and abs(found["ASR folded"]) < 1e-5 * size
    assert found["all folded"] == pytest.approx(score(fold_means(fold(net), [IMAGES])), rel=1e-4)
    assert found["kept dropped"] < found["all folded"] < -1e-4 * size
    plain = network("00 00 00")
    assert set(folded_scores(plain, [IMAGES], Distance(plain)).values()) == {0.0}


def test_a_mask_set_later_is_kept() -> None:
    net = network("11 11 11")
    net.set_mask([True, False, False, False, False, True])
    assert apply(net, {0: "keep"}, {}).mask == net.mask
    assert fold_means(net, [IMAGES], [0]).mask == (False,) * 5 + (True,)


def test_names_follow_the_stages() -> None:
    names = block_names(build_backbone("resnet18", base_channels=4))
    assert names == ["1.1", "1.2", "2.1", "2.2", "3.1", "3.2", "4.1", "4.2"]
