"""Parameters and MACs of attention on backbones."""

from __future__ import annotations

import pytest

from benchmarks import cost
from benchmarks.cost import cost_rows, costs, read_attention
from ean_transfer.errors import EANError
from ean_transfer.io.tables import markdown
from ean_transfer.ticket import Ticket


def test_counts_follow_the_formulas(monkeypatch: pytest.MonkeyPatch) -> None:
    ticket = Ticket.from_bits("1 1 0", "resnet8_cifar", attention_options={"reduction": 4})
    monkeypatch.setattr(cost, "zoo", lambda: {"ours": ticket})
    plain, block, stage, sparse = costs("resnet8_cifar", [read_attention("SE:reduction=4")], 16)
    assert (plain.ticket, plain.attention) == ("none", "")
    convolutions = 9 * (3 * 16 + 2 * 16 * 16 + 16 * 32 + 32 * 32 + 32 * 64 + 64 * 64)
    projections, norms = 16 * 32 + 32 * 64, 2 * (3 * 16 + 3 * 32 + 3 * 64)
    assert plain.parameters == convolutions + projections + norms
    assert sparse.ticket == "ours"
    one = [2 * c * (c // 4) + c // 4 + c for c in (16, 32, 64)]
    assert block.parameters - plain.parameters == sum(one)
    assert stage.parameters == block.parameters  # one block per stage
    assert sparse.parameters - plain.parameters == sum(one[:2])
    # Two matrix products, the pooling and the multiplication.
    macs = [2 * c * (c // 4) + 2 * c * side**2 for c, side in ((16, 16), (32, 8), (64, 4))]
    assert stage.macs - plain.macs == sum(macs) and sparse.macs - plain.macs == sum(macs[:2])
    rows = cost_rows([plain, block, stage, sparse])
    assert rows[0][0] == "resnet8_cifar: parameters" and rows[1][1] == "77,392"
    assert rows[2] == [
        "SE reduction=4",
        *[f"+{n:,} ({n / 77_392:.2%})" for n in (sum(one), sum(one), sum(one[:2]))],
        *[f"+{n / 1e6:.2f} M ({n / plain.macs:.2%})" for n in (sum(macs), sum(macs[:2]))],
    ]
    assert cost_rows([plain, block, stage])[2][3] == "-"
    assert markdown(rows).count("\n") == 4


def test_options_are_read_like_the_command_lines_of_tickets() -> None:
    assert read_attention("SGE") == {"type": "SGE"}
    assert read_attention("SGE:groups=8") == {"type": "SGE", "groups": 8}
    with pytest.raises(EANError, match="KEY=VALUE"):
        read_attention("SGE:8")
