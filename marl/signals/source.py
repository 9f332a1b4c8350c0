"""From a text to a syntax tree: what is read must be what runs, and no text may keep the reader busy."""

from __future__ import annotations

import ast
import io
import re
import tokenize
import unicodedata
import warnings
from collections.abc import Callable, Iterator

from marlsmith.marl.signals.problems import CURE_LIMIT
from marlsmith.schemas import SignalError, parsed, printable

SOURCE_LIMIT = 30_000
"""Bytes."""
NODE_LIMIT = 5_000
"""Of the syntax tree: ten times the largest signal that a model wrote, and well beyond the largest config."""
DEPTH_LIMIT = 200


def parse(source: str) -> ast.Module:
    """The module's tree, and nothing of it executed. Raises SignalError for what Python would not compile."""
    size = len(source.encode("utf-8", "surrogatepass"))
    if size > SOURCE_LIMIT:
        raise SignalError(f"the code has {size} bytes and may have {SOURCE_LIMIT}: shorten it")
    _require_plain_text(source)
    tree = python(lambda: parsed(without_mark(source)))
    _require_bounded(tree)
    return tree


def without_mark(source: str) -> str:
    """The source without the byte order mark that some editors put before it."""
    return source.removeprefix("\ufeff")


def python(read: Callable[[], ast.Module]) -> ast.Module:
    """What Python's parser or compiler gives. Raises SignalError for what it refuses."""
    try:
        return read()
    except SyntaxError as error:
        raise SignalError(
            f"line {error.lineno or 1}: syntax error, {printable(error.msg, CURE_LIMIT)}: correct it"
        ) from None
    except (ValueError, MemoryError, RecursionError) as error:
        fault = "nests too deeply" if isinstance(error, MemoryError | RecursionError) else "holds broken characters"
        raise SignalError(f"line 1: the code {fault}: write it plainly") from None


# Python would tell the user of odd literals in candidate code.
warnings.filterwarnings("ignore", module=r"<signal>")


def _require_bounded(tree: ast.Module) -> None:
    """What is nested beyond this would be work for stacks, here and in the compiler; what is longer, for hours."""
    level: list[ast.AST] = [tree]
    count = 0
    for _ in range(DEPTH_LIMIT):
        count += len(level)
        if count > NODE_LIMIT:
            raise SignalError(
                f"the code has more than {NODE_LIMIT} names, numbers and operations: shorten it, and compute long "
                "tables with torch"
            )
        level = [child for node in level for child in ast.iter_child_nodes(node)]
        if not level:
            return
    line = next((node.lineno for node in level if isinstance(node, ast.expr | ast.stmt)), 1)
    raise SignalError(f"line {line}: the code nests too deeply: write it plainly")


# ---------------------------------------------------------------- characters

COOKIE = re.compile(r"[ \t\f]*#.*?coding[:=][ \t]*([-_.a-zA-Z0-9]+)")
HIDDEN = {"Cc", "Cf", "Cs", "Co", "Zl", "Zp"}
"""Control, format (bidirectional text, zero width), surrogates, private use, line and paragraph separators."""


def _require_plain_text(source: str) -> None:
    """No hidden characters, no other encoding: the same here and from a file."""
    for number, line in enumerate(source[:200].split("\n")[:2], 1):
        cookie = COOKIE.match(without_mark(line))
        if cookie and cookie[1].lower().replace("_", "-") not in {"utf-8", "utf8", "ascii", "us-ascii"}:
            raise SignalError(
                f"line {number}: the encoding {cookie[1]:.40} is not allowed: leave it out, code is UTF-8"
            )
    if source.isascii() and source.isprintable():
        return
    for number, line in enumerate(without_mark(source).split("\n"), 1):
        text = line.removesuffix("\r")
        if text.isascii() and text.isprintable():
            continue
        for character in text:
            if unicodedata.category(character) in HIDDEN and character not in "\t\f":
                raise SignalError(
                    f"line {number}: the invisible character U+{ord(character):04X} is not allowed: delete it"
                )


def foreign_names(source: str) -> Iterator[tuple[int, str]]:
    """Names outside ASCII: Python folds look-alikes into ASCII, so what is read is not what runs."""
    text = {tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    try:
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type not in text and not token.string.isascii():
                yield token.start[0], f"the name {token.string!r}"
    except (tokenize.TokenError, SyntaxError):
        yield 1, "a name outside ASCII"
