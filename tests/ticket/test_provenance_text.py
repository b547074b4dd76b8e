"""A provenance is read in a terminal: records as tables, the rest as lines."""

from __future__ import annotations

from ean_transfer.ticket.provenance_text import provenance_lines


def test_records_become_tables_and_settings_lines() -> None:
    provenance = {
        "data": "CIFAR-10",
        "confirmed": {"011": {"loss": 1.5}, "000": {"loss": 12.25, "feasible": True}},
        "settings": {"seed": 0, "reward": {"cost": "params"}},
        "studies": [{"claim": "x", "seeds": 3}],
        "empty": [{}],
    }
    assert provenance_lines(provenance) == [
        "data: CIFAR-10",
        "confirmed",
        "       loss   feasible",
        "  011  1.5",
        "  000  12.25  true",
        "settings",
        "  seed: 0",
        '  reward: {"cost": "params"}',
        "studies",
        "  claim  seeds",
        "  x      3",
        "empty: [{}]",
    ]


def test_a_strangers_values_stay_small_and_printable() -> None:
    wide = {str(row): {f"{row} {column}": 0 for column in range(300)} for row in range(300)}
    lines = provenance_lines({"wide": wide, "\x1b[2J": [{"\x1b": "\x1b" + "x" * 10_000}]})
    assert sum(map(len, lines)) < 2_000_000
    assert "\x1b" not in "".join(lines) and max(map(len, lines[-2:])) < 250
