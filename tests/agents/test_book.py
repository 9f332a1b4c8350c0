"""llm.jsonl: what is written comes back, a kill costs the last line at most, and no key is in it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking import book
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.book import Book, Index
from marlsmith.agents.asking.question import AnswerError, Question, Reply, Tool, ToolCall, Usage
from marlsmith.schemas import Diagnosis, Review, UserError

KEY = "sk-secret-0123456789"
ASKED = '{"model": "m"}'
REPLY = Reply(
    text="a \ud800 lone one, and\na line",
    finish_reason="tool_calls",
    usage=Usage(10, 5, 3, 2),
    rung="json_object",
    tool_calls=(ToolCall("c0", "check", '{"code": "x"}'),),
)


def question(place: str = "s1r1", text: str = "Why?", **changes: Any) -> Question:
    fields: dict[str, Any] = {"role": "critic", "place": place, "messages": ({"role": "user", "content": text},)}
    return Question(**{**fields, "schema": Review, **changes})


def line(asked: Question, reply: Reply | None = REPLY, error: str | None = None) -> book.Line:
    return book.request_line(asked, ASKED, "json_object", reply, error, Usage(10, 5), 0.25, 1.5)


def test_a_reply_comes_back_as_it_was(tmp_path: Path) -> None:
    kept = Book(tmp_path / "llm.jsonl")
    kept.write([line(question())])
    (read,) = Book(tmp_path / "llm.jsonl").open()
    assert book.answer_of(read) == Reply(**{**vars(REPLY), "usage": Usage(10, 5)})
    assert (read["money"], read["seconds"], read["place"], read["role"]) == (0.25, 1.5, "s1r1", "critic")
    assert read["messages"] == [{"role": "user", "content": "Why?"}]


def test_the_schema_is_covered_by_the_hash_and_not_written_out(tmp_path: Path) -> None:
    one, other = line(question()), line(question(schema=Diagnosis))
    assert one["hash"] != other["hash"]
    assert one["schema"].startswith("Review ")
    tool = Tool("check", "d" * 5000, {"type": "object"})
    assert len(json.dumps(line(question(tools=(tool,))))) < 2000
    assert line(question(tools=(tool,)))["hash"] != one["hash"]


def test_the_last_line_that_a_kill_has_cut_is_cut_off(tmp_path: Path) -> None:
    file = tmp_path / "llm.jsonl"
    Book(file).write([line(question("a")), line(question("b"))])
    whole = file.read_bytes()
    for cut in (1, 30, len(whole) // 2 - 5):
        file.write_bytes(whole[:-cut])
        kept = Book(file)
        assert [read["place"] for read in kept.open()] == ["a"]
        kept.write([line(question("c"))])
        assert [read["place"] for read in kept.open()] == ["a", "c"]


@pytest.mark.parametrize(
    "damage",
    ["{", "[]", "{}", '{"place": "a", "messages": [], "usage": 3, "error": null}', '{"place": "a", "unanswered": "X"}'],
)
def test_a_line_that_is_none_is_named(tmp_path: Path, damage: str) -> None:
    file = tmp_path / "llm.jsonl"
    Book(file).write([line(question("a"))])
    with file.open("a") as more:
        more.write(damage + "\n")
    with pytest.raises(UserError, match=r"llm\.jsonl is damaged in line 2"):
        Book(file).open()


def test_a_key_is_hidden_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MY_KEY", KEY)
    file = tmp_path / "llm.jsonl"
    told = question(text=f"My key is {KEY}.", hint=KEY)
    calls = (ToolCall("c0", "check", json.dumps({"code": KEY})), ToolCall("c1", "check", KEY))
    Book(file, [Key("MY_KEY")]).write([line(told, Reply(f"It is {KEY}", tool_calls=calls), f"error {KEY}")])
    text = file.read_text()
    assert "0123456789" not in text.replace(json.loads(text)["hash"], "")
    assert json.loads(text)["messages"][0]["content"] == "My key is ***."


def test_a_full_disk_leaves_no_half_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "llm.jsonl"
    kept = Book(file)
    kept.write([line(question("a"))])
    plain_write = book.os.write
    monkeypatch.setattr(book.os, "write", lambda descriptor, data: plain_write(descriptor, data[:50]))
    with pytest.raises(UserError, match=r"cannot be written \(No space left on device\)"):
        kept.write([line(question("b"))])
    monkeypatch.undo()
    assert [read["place"] for read in kept.open()] == ["a"]


def test_of_several_replies_the_last_counts_and_a_resume_uses_none_that_was_discarded() -> None:
    asked = question("a")
    hash = asked.hash(ASKED)
    lines: list[book.Line] = [line(asked, Reply("first")), book.discarded_line("a")]
    index = Index(lines)
    assert index.usable("a", hash) is None
    assert text(index.last("a", hash)) == "first"
    lines += [line(asked, Reply("second")), line(asked, None, "HTTP 500"), book.discarded_line("b")]
    index = Index(lines)
    assert text(index.usable("a", hash)) == text(index.last("a", hash)) == "second"
    index = Index([*lines, book.unanswered_line(asked, ASKED, AnswerError("too long"))])
    assert index.usable("a", hash) is None
    assert index.last("a", hash)["error"] == "too long"  # type: ignore[index]


def text(found: object) -> str:
    assert isinstance(found, Reply)
    return found.text
