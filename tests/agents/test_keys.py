"""A key is hidden in every spelling that anybody might read, and nothing else is."""

from __future__ import annotations

import json
import time
from base64 import b64encode, urlsafe_b64encode
from typing import Any
from urllib.parse import quote

import pytest

from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.keys import Keys

KEY = "sk-a/b+c~very?secret>0123456789"
LONGER = KEY + "-and-more"
OTHER = 'quo"ted\\key-0123456789'


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Keys:
    for name, value in {"A_KEY": KEY, "B_KEY": LONGER, "C_KEY": OTHER, "D_KEY": "ollama"}.items():
        monkeypatch.setenv(name, value)
    return Keys(map(Key, ("A_KEY", "B_KEY", "C_KEY", "D_KEY", "UNSET_KEY")))


def escaped(form: str, key: str = KEY) -> str:
    return "".join(form.format(ord(character)) for character in key)


SPELLINGS = {
    "as it is": KEY,
    "one that another begins": LONGER,
    "quoted in JSON": json.dumps(OTHER)[1:-1],
    "quoted twice": json.dumps(json.dumps(OTHER))[3:-3],
    "escaped": escaped("\\u{:04x}"),
    "escaped in capitals": escaped("\\u{:04X}"),
    "escaped twice": escaped("\\\\u{:04x}"),
    "escaped in part": KEY.replace("-", "\\u002d").replace("/", "\\/"),
    "escaped as in code": escaped("\\x{:02x}"),
    "in an address": quote(KEY, safe=""),
    "all of it in an address": escaped("%{:02X}"),
    "broken": KEY[:9] + "\n    " + KEY[9:],
    "broken and escaped": KEY[:9] + "\\r\\n" + KEY[9:],
    "with NUL between": "\0".join(KEY),
    "with zero width between": "\u200b".join(KEY),
    "with much between": ("\u200b" * 40).join(KEY),
    "with escaped zero width between": "\\u200b".join(KEY),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_no_spelling_passes(keys: Keys, spelling: str) -> None:
    assert keys.hide(f"It is {SPELLINGS[spelling]}, is it?") == "It is ***, is it?"


@pytest.mark.parametrize("before", ["", "u:", "me:", "her:"])
def test_base64_passes_wherever_it_starts(keys: Keys, before: str) -> None:
    """What is left at the ends is shared with what stands beside the key: no whole character of it but the first."""
    for encode in (b64encode, urlsafe_b64encode):
        hidden = keys.hide(encode(f"{before}{KEY}:0".encode()).decode())
        assert "***" in hidden
        assert len(hidden) <= len("***") + len(before) * 2 + 8


def test_what_is_no_secret_stays(keys: Keys) -> None:
    for text in (
        "ollama",
        KEY[:-1],
        KEY.upper(),
        "sk-",
        "\\u0073\\u006b",
        "",
        "sk-a b",
        b64encode(KEY[:9].encode()).decode(),
    ):
        assert keys.hide(text) == text


def test_keys_are_hidden_in_values_and_in_their_names(keys: Keys) -> None:
    value: Any = {KEY: [1, None, {"a": f"<{KEY}>"}]}
    assert keys.hidden(value) == {"***": [1, None, {"a": "<***>"}]}


def test_words_are_shortened_last(keys: Keys) -> None:
    for length in range(5, 60):
        assert KEY[:5] not in keys.told(f"{'x' * (length - 5)} {KEY}", length)
    assert keys.told(f"\x1b[31m a\nb {'c' * 50}", 12) == "[31m a b cc…"
    assert KEY[:9] not in keys.told(" " * 385 + KEY, 120)


def test_keys_are_found_together(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("E_KEY", "another-key-0123")
    both = Keys([Key("E_KEY")]) + keys
    assert both.hide(f"another-key-0123 {KEY}") == "*** ***"
    monkeypatch.setenv("E_KEY", "quite-another-one")
    assert both.hide("another-key-0123 quite-another-one") == "another-key-0123 ***"


@pytest.mark.parametrize(
    "part", ["x", "s", "\\", "\0", "s" + "\0" * 999, "%73", "\\u0073", "\\n", "s" + "\\" * 200, "sk-a/b+"]
)
def test_hiding_takes_a_time_linear_in_the_text(keys: Keys, part: str) -> None:
    def seconds(length: int) -> float:
        started = time.process_time()
        keys.hide(part * (length // len(part)))
        return time.process_time() - started

    seconds(1000)
    assert seconds(1_000_000) < 2
