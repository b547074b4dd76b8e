"""Text from a stranger's file, printed safely."""

from __future__ import annotations

from ean_transfer.io.terminal import printable, shortened


def test_printable_keeps_words_and_escapes_the_rest() -> None:
    assert printable("Zürich 東京") == "Zürich 東京"
    assert printable("a\nb\x1b[31m\u202e") == r"a\nb\x1b[31m\u202e"


def test_shortened_keeps_both_ends_of_what_is_too_long() -> None:
    assert shortened("a" * 80) == "a" * 80
    assert shortened("a" * 900_000 + "b") == "a" * 54 + " ... " + "a" * 25 + "b"
