"""llm.jsonl: what is written comes back, a kill costs the last line at most, and no key is in it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from marlsmith.agents.asking.accounting import book
from marlsmith.agents.asking.accounting.accounts import Accounts
from marlsmith.agents.asking.accounting.book import Book, Index
from marlsmith.agents.asking.address import Key
from marlsmith.agents.asking.question import Question, Reply, Tool, ToolCall, Usage
from marlsmith.schemas import AnswerError, Diagnosis, Review, UserError

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
    for cut in (2, 30, len(whole) // 2 - 5):
        file.write_bytes(whole[:-cut])
        kept = Book(file)
        assert [read["place"] for read in kept.open()] == ["a"]
        kept.write([line(question("c"))])
        assert [read["place"] for read in kept.open()] == ["a", "c"]


def test_a_last_line_that_only_lacks_its_end_is_kept(tmp_path: Path) -> None:
    """It was paid for. Blank lines, as editors leave them, are no damage."""
    file = tmp_path / "llm.jsonl"
    Book(file).write([line(question("a")), line(question("b"))])
    file.write_bytes(b"\n" + file.read_bytes().replace(b"\n", b"\n \n").rstrip())
    assert [read["place"] for read in book.read(file)] == ["a", "b"]
    kept = Book(file)
    assert [read["place"] for read in kept.open()] == ["a", "b"]
    kept.write([line(question("c"))])
    assert [read["place"] for read in kept.open()] == ["a", "b", "c"]


WHOLE = json.loads(json.dumps(line(question("a"))))
USAGE = WHOLE["usage"]
DAMAGE: dict[str, Any] = {
    "cut": "{",
    "list": "[]",
    "nothing": "{}",
    "deep": "[" * 200_000,
    "deep and closed": '{"place":' * 5000 + "1" + "}" * 5000,
    "digits": '{"place": ' + "9" * 5000 + "}",
    "no UTF-8": b'{"place": "\xff"}',
    "half a request": {"place": "a", "messages": [], "usage": 3, "error": None},
    "half an end": {"place": "a", "unanswered": "X"},
    "half a beginning": {"place": "a", "begun": 4},
    "negative beginning": {**book.begun_line(question("a"), ASKED, 5, None), "begun": -5},
    "deep and unknown": {**WHOLE, "more": [[[]]]},
    "free tokens": {**WHOLE, "usage": {**USAGE, "prompt_tokens": -(10**9)}},
    "tokens in words": {**WHOLE, "usage": {**USAGE, "prompt_tokens": "a"}},
    "tokens without end": {**WHOLE, "usage": {**USAGE, "completion_tokens": 10**30}},
    "nobody's tokens": {**WHOLE, "usage": {"tokens": 5}},
    "money in words": {**WHOLE, "money": "1"},
    "no money": {**WHOLE, "money": float("nan")},
    "free money": {**WHOLE, "money": -1.0},
    "all the money": {**WHOLE, "money": float("inf")},
    "money of many digits": {**WHOLE, "money": 10**400},
    "no place": {**WHOLE, "place": []},
    "no hash": {**WHOLE, "hash": []},
    "no role": {**WHOLE, "role": ["critic"]},
    "unknown role": {**WHOLE, "role": "judge"},
    "neither text nor error": {**WHOLE, "text": None, "error": None},
    "finished with a list": {**WHOLE, "finish_reason": [1]},
    "refused with a number": {**WHOLE, "refusal": 5},
    "no rung": {**WHOLE, "rung": "ladder"},
    "calls nothing": {**WHOLE, "tool_calls": [{"id": "c0"}]},
    "no messages": {**WHOLE, "messages": ["Why?"]},
    "message without words": {**WHOLE, "messages": [{"role": "user"}]},
    "message in lists": {**WHOLE, "messages": [{"role": "user", "content": [["Why?"]]}]},
    "not discarded": {"place": "a", "discarded": False},
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_a_line_that_is_none_is_named(tmp_path: Path, damage: str) -> None:
    said, file = DAMAGE[damage], tmp_path / "llm.jsonl"
    text = json.dumps(said) if isinstance(said, dict) else said
    Book(file).write([line(question("a"))])
    with file.open("ab") as more:
        more.write((text if isinstance(text, bytes) else text.encode()) + b"\n")
    for reading in (Book(file).open, lambda: list(book.read(file)), lambda: Accounts(file)):
        with pytest.raises(UserError, match=r"llm\.jsonl is damaged in line 2 \(.*\): delete that line") as refusal:
            reading()
        assert "\n" not in str(refusal.value)


def test_every_line_of_ours_is_sound(tmp_path: Path) -> None:
    asked = question(tools=(Tool("check", "d", {"type": "object"}),), room=5, hint="h")
    call = {"id": "c0", "type": "function", "function": {"name": "check", "arguments": "{}"}}
    messages = (
        *asked.messages,
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c0", "content": "fine"},
    )
    written = [
        book.begun_line(asked, ASKED, 12, 0.5),
        line(question(messages=messages)),
        line(asked, None, "HTTP 500"),
        book.request_line(asked, ASKED, "text", Reply("by hand"), None, None, None, 0),
        book.unanswered_line(asked, ASKED, AnswerError("too long")),
        book.discarded_line("s1r1", ASKED),
    ]
    written += [{**each, "replayed": True} for each in written]
    Book(tmp_path / "llm.jsonl").write(written)
    assert len(list(book.read(tmp_path / "llm.jsonl"))) == len(written)


def test_a_record_of_ten_megabytes_opens_in_a_moment(tmp_path: Path) -> None:
    long = line(question(text="words " * 3000))
    Book(tmp_path / "llm.jsonl").write([long] * 550)
    assert (tmp_path / "llm.jsonl").stat().st_size > 10_000_000
    started = time.process_time()
    assert len(Book(tmp_path / "llm.jsonl").open()) == 550
    assert time.process_time() - started < 2


def test_a_record_that_is_no_file_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "llm.jsonl")
    for reading in (Book(tmp_path / "llm.jsonl").open, lambda: list(book.read(tmp_path / "llm.jsonl"))):
        with pytest.raises(UserError, match=r"llm\.jsonl is no file"):
            reading()


def test_of_what_has_begun_that_stands_which_never_ended() -> None:
    """In a replay's copy it stands as it is: what follows there is not its end."""
    a, b = question("a"), question("b")
    begun = [book.begun_line(each, ASKED, tokens, None) for each, tokens in ((a, 1), (b, 2))]
    again = book.begun_line(a, ASKED, 3, None)
    index = Index([line(a), *begun, again, line(a)])
    assert [book.usage_of(each) for each in index.at["a"]] == [Usage(10, 5), Usage(1, estimated=True), Usage(10, 5)]
    assert [book.usage_of(each) for each in index.at["b"]] == [Usage(2, estimated=True)]
    assert index.usable("b", b.hash(ASKED)) is index.last("b", b.hash(ASKED)) is None
    copied = Index([{**each, "replayed": True} for each in index.lines()])
    assert [len(copied.at[place]) for place in "ab"] == [3, 1]
    moved = Index([begun[0], {**line(a), "place": "c"}])
    assert [len(moved.at[place]) for place in "ac"] == [1, 1]


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
    lines: list[book.Line] = [line(asked, Reply("first")), book.discarded_line("a", ASKED)]
    index = Index(lines)
    assert index.usable("a", hash) is None
    assert text(index.last("a", hash)) == "first"
    lines += [line(asked, Reply("second")), line(asked, None, "HTTP 500"), book.discarded_line("b", ASKED)]
    index = Index(lines)
    assert text(index.usable("a", hash)) == text(index.last("a", hash)) == "second"
    index = Index([*lines, book.unanswered_line(asked, ASKED, AnswerError("too long"))])
    assert index.usable("a", hash) is None
    assert index.last("a", hash)["error"] == "too long"  # type: ignore[index]


def text(found: object) -> str:
    assert isinstance(found, Reply)
    return found.text
