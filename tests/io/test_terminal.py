"""Text from a stranger's file, printed safely."""

from __future__ import annotations

from ean_transfer.io.terminal import printable


def test_printable_keeps_words_and_escapes_the_rest() -> None:
    assert printable("Zürich 東京") == "Zürich 東京"
    assert printable("a\nb\x1b[31m\u202e") == r"a\nb\x1b[31m\u202e"
