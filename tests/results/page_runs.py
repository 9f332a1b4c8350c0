"""Small runs for the tests of the page: known scores, no training, and words as ill-natured as can be."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from graph_fakes import (
    Equipment,
    FakeExecutor,
    ScriptedGenerator,
    StagedGenerator,
    make_main_run,
    make_settings,
    proposal,
)

from marlsmith.agents.asking.accounting.book import Book, request_line
from marlsmith.agents.asking.question import Message, Question, Reply, Role, Usage
from marlsmith.agents.settings import ModelSettings
from marlsmith.graph.run import WaitingForApproval, start
from marlsmith.results.past import PastRun
from marlsmith.schemas import CurvePoint, Evaluation, Review, TermStatistics, plain

HOSTILE = (
    "<script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\">'\"&amp;\x1b[31m\u202eabc"
)
FOUND = {(1, 1): [2.0, 1.0, -1.5], (2, 1): [0.5]}
"""Of an adapted run: the first stage finds something, the second does not."""


class CurvedExecutor(FakeExecutor):
    """Its trainings from scratch have curves by seed, and terms."""

    def train(self, request, *arguments, **named) -> Evaluation:
        found = super().train(request, *arguments, **named)
        if found.error is not None or request.until is not None:
            return found
        points = tuple(
            CurvePoint(
                steps=25 * step,
                score=step * found.scores[0] / 4,
                native_return=-1.0,
                shaped_return=float(step),
                scores=tuple(step * score / 4 for score in found.scores),
            )
            for step in range(1, 5)
        )
        named_terms = {} if request.candidate == "native" else {
            "approach": TermStatistics(mean=-0.5, spread=0.1, share=0.8),
            "reach": TermStatistics(mean=0.1, spread=0.2, share=0.2),
        }  # fmt: skip
        return found.model_copy(update={"curve": points, "terms": named_terms})


class Wordy(Equipment):
    """Every candidate has the same code, and rationales and reviews say what they are told to say."""

    def __init__(self, words: str, code: str, **given) -> None:
        super().__init__(**given)
        self.words, self.code = words, code
        self.validator.review = lambda brief: Review(approve=True, reasons=(words,))

    def equip(self, directory, executor):
        parts = super().equip(directory, executor)
        return type(parts)(**{**vars(parts), "signal_to_code": lambda signal, card: f"{self.code}\n# {signal}\n"})


def searched(path: Path, equipment: Equipment | None = None, **settings: object) -> PastRun:
    """A finished search from scratch."""
    outfit = equipment or Equipment(CurvedExecutor())
    list(start(make_settings(**{"rounds": 2} | settings), outfit, path))
    return PastRun.open(path)


def adapted(path: Path, weights: Mapping[tuple[int, int], Sequence[float]] = FOUND, **settings: object) -> PastRun:
    """A finished adapted main run."""
    equipment = Equipment(FakeExecutor(), StagedGenerator(weights))
    list(start(make_main_run(**{"audit": 1, "stages": 2, "rounds": 1} | settings), equipment, path))
    return PastRun.open(path)


def waiting(path: Path) -> PastRun:
    """A run that waits for an approval."""
    with contextlib.suppress(WaitingForApproval):
        list(start(make_settings(rounds=1, approve=True), Equipment(CurvedExecutor()), path))
    return PastRun.open(path)


def rewritten(run: PastRun, change) -> PastRun:
    """The same run after `change` of each of its events; None leaves one out."""
    file = run.path / "events.jsonl"
    events = [json.loads(line) for line in file.read_text().splitlines()]
    kept = [event for event in map(change, events) if event is not None]
    file.write_text("".join(json.dumps(event) + "\n" for event in kept))
    return PastRun.open(run.path)


def asked(run: PastRun, role: Role, place: str, messages: Sequence[Message], reply: str) -> PastRun:
    """The run with one more question on its record."""
    question = Question(role, place, tuple(messages), Review)
    model = json.dumps(plain(ModelSettings(model="small-1")), sort_keys=True)
    usage = Usage(prompt_tokens=1200, completion_tokens=34)
    line = request_line(question, model, "json_schema", Reply(reply, usage=usage), None, usage, 0.0125, 2.5)
    Book(run.path / "llm.jsonl").write([line])
    return PastRun.open(run.path)


def hostile(path: Path) -> PastRun:
    """Everything that anybody can write says HOSTILE."""
    script = {(1, 0): [proposal(weight).model_copy(update={"rationale": HOSTILE}) for weight in (1.0, 2.0)]}
    equipment = Wordy(HOSTILE, f"'''{HOSTILE}'''", executor=CurvedExecutor(), generator=ScriptedGenerator(script))
    run = searched(path, equipment, rounds=1, task=f"pettingzoo:{HOSTILE}:make")
    messages = [{"role": "system", "content": HOSTILE}, {"role": "user", "content": f"asked {HOSTILE}"}]
    return asked(run, "generator", "s1r1a0/1", messages, f"replied {HOSTILE}")


def large(path: Path) -> PastRun:
    """Sixty candidates of long code, each with a long question."""
    code = "\n".join(f"    return distance < {line}  # '{'x' * 60}'" for line in range(400))
    run = searched(path, Wordy("fits", code, executor=CurvedExecutor()), rounds=2, candidates=30, search_seeds=2)
    for place in range(1, 61):
        long = [{"role": "user", "content": f"{place} " + "<tell me 'more'> " * 3000}]
        asked(run, "generator", f"s1r{(place - 1) // 30 + 1}a0/{(place - 1) % 30 + 1}", long, "{}")
    return PastRun.open(path)
