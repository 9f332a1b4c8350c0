"""The keys of a run, hidden wherever they come back: a server may echo any of them, in another spelling too."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from marlsmith.agents.asking.address import SECRET_LENGTH, Key
from marlsmith.schemas import printable

HIDDEN = "***"

_BETWEEN = (
    r"(?:[^!-~]|\\{1,4}(?:[^!-~]|[nrtbf0]|u(?!00[2-7])[0-9a-fA-F]{4}|x(?![2-7])[0-9a-fA-F]{2})"
    r"|%(?![2-7])[0-9a-fA-F]{2})*+"
)
"""What readers drop or cannot see: blanks, line breaks, control and zero width characters, escaped or not."""


class Keys:
    """All that may turn up, for one endpoint can echo what another was given."""

    def __init__(self, keys: Iterable[Key] = ()) -> None:
        self._keys = tuple({key.variable: key for key in keys}.values())

    def __add__(self, other: Keys) -> Keys:
        return Keys((*self._keys, *other._keys))

    def hide(self, text: str) -> str:
        """In time linear in the text."""
        pattern = self._pattern()
        return pattern.sub(HIDDEN, text) if pattern else text

    def told(self, words: str, limit: int) -> str:
        """Words from outside, fit for people: hidden first and shortened last, or half a key would pass."""
        return printable(self.hide(words)[: 10 * limit], limit)

    def hidden(self, value: Any) -> Any:
        """A JSON value without the keys, wherever in it they stand."""
        pattern = self._pattern()
        return _hidden(value, pattern) if pattern else value

    def _pattern(self) -> re.Pattern[str] | None:
        """The keys are read anew, for the environment may change."""
        return _pattern(frozenset(key.read() for key in self._keys))


def _hidden(value: Any, pattern: re.Pattern[str]) -> Any:
    if isinstance(value, str):
        return pattern.sub(HIDDEN, value)
    if isinstance(value, dict):
        return {_hidden(name, pattern): _hidden(item, pattern) for name, item in value.items()}
    return [_hidden(item, pattern) for item in value] if isinstance(value, (list, tuple)) else value


@lru_cache(maxsize=8)
def _pattern(keys: frozenset[str]) -> re.Pattern[str] | None:
    """The longest first, for one key may begin another."""
    secret = sorted((key for key in keys if len(key) >= SECRET_LENGTH), key=len, reverse=True)
    spellings = [spelling for key in secret for spelling in (*_packed(key), re.escape(key), _loose(key))]
    return re.compile("|".join(spellings)) if spellings else None


def _loose(key: str) -> str:
    """Any of its characters escaped as in JSON, Python or an address, and anything invisible in between."""
    return _BETWEEN.join(
        rf"(?:\\{{0,4}}{re.escape(character)}|\\{{1,4}}(?:u00|x)(?i:{ord(character):02x})|%(?i:{ord(character):02x}))"
        for character in key
    )


def _packed(key: str) -> list[str]:
    """In base64, alone or in the middle of something: three ways, by where it starts. Ends that it shares are left."""
    found = []
    for before in range(3):
        packed = b64encode(b"\0" * before + key.encode()).decode()
        whole = packed[(0, 2, 3)[before] : (before + len(key.encode())) * 8 // 6]
        found.append("".join({"+": "[+-]", "/": "[/_]"}.get(character, character) for character in whole))
    return found
