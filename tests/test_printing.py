"""Text from outside, fit to be looked at."""

from __future__ import annotations

from marlsmith.schemas import printable, visible


def test_what_hides_in_a_text_is_written_out() -> None:
    assert visible("a\u202eb\x1b[0m\tc\nd\ud800\u00e9") == "a\\u202eb\\x1b[0m\tc\nd\\ud800é"


def test_a_line_stays_one_and_has_an_end() -> None:
    assert printable("a\nb\x1b[0m  c", 20) == "a b [0m c"
    assert printable("abcdef", 4) == "abc…"
