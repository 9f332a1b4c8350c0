"""Behaviour before and after: one same episode, played by the native task's policy and by the one that came of the run.

The policies run where all candidate code runs, in jailed workers. A finished run keeps its film beside its networks,
so that the next report needs neither workers nor a renderer.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from statistics import fmean
from typing import Literal

from pydantic import Field, ValidationError

from marlsmith.graph.adapting.main_run import Lap
from marlsmith.graph.methods import RunSettings
from marlsmith.graph.naming import PLAIN_BRANCH, confirm_branch, heat_branch, lap_branch
from marlsmith.graph.run_directory import CHECKPOINT, replacing
from marlsmith.graph.seeds import search_seeds
from marlsmith.graph.state import NATIVE_ID
from marlsmith.marl.config import BranchRequest, EvaluationConfig
from marlsmith.marl.executor import Executor
from marlsmith.marl.recording import Recording
from marlsmith.marl.rendering.launch import DrawingError, drawn
from marlsmith.marl.rendering.pictures import MIME, MOST_BYTES, Pictures, can_draw
from marlsmith.marl.rendering.words import told
from marlsmith.results.past import PastRun
from marlsmith.schemas import NATIVE, Failure, Record, Signal, TaskCard, UserError, printable

Part = Literal["before", "after"]
PARTS: tuple[Part, Part] = ("before", "after")
SECONDS = 60.0
"""That playing may take."""
EPISODES = 40
"""Played by each policy; shown is the one that is most like all of them."""


@dataclass(frozen=True)
class Shot:
    """An animation and its last frame, both of one type; `alt` says in words what is to be seen."""

    data: bytes
    mime: str
    still: bytes
    alt: str
    width: int
    height: int


@dataclass(frozen=True)
class Film:
    """`note` says what is shown, or why something is not."""

    before: Shot | None
    after: Shot | None
    note: str


def film(
    run: PastRun,
    progress: Callable[[str], None] | None = None,
    engage: Callable[[RunSettings], Executor] | None = None,
    *,
    trusted: bool = False,
) -> Film:
    """Made once for a finished run. Nothing that goes wrong is more than a note.

    `trusted`: the user's word that a task which is a program of others may be started.
    """
    if run.finished is None:
        return Film(None, None, "The run has not ended: what it has learned is filmed when it has.")
    if (kept := _kept(run)) is not None:
        return kept
    tell = progress or (lambda said: None)
    try:
        if run.is_of_others and not trusted:
            return Film(None, None, "The task is a program of others: with --trust-task it is started for a film.")
        takes = dict(_takes(run))
        if not takes:
            return Film(None, None, "No networks are left in the run's directory, so there is nothing to film.")
        recordings, faults = _played(takes, run, tell, engage or _local)
        if not recordings:
            return Film(None, None, " ".join(faults))
        tell("drawing the film")
        pictures = dict(zip(recordings, _drawn(run.settings.task, list(recordings.values())), strict=True))
    except (UserError, DrawingError) as error:
        return Film(None, None, f"There is no film: {str(error).rstrip('.')}.")
    except (KeyError, IndexError, TypeError, ValidationError):
        return Film(None, None, "There is no film: the run does not say what it trained, or says it in another way.")
    card = _card(run.settings.task)
    shots = {part: _shot(part, takes[part], recordings[part], pictures[part], card) for part in recordings}
    made = Film(shots.get("before"), shots.get("after"), " ".join((_note(takes, recordings, pictures), *faults)))
    if not faults:
        _keep(made, run)
    return made


# ---------------------------------------------------------------- who plays


@dataclass(frozen=True)
class Take:
    """One policy: a checkpoint, the training that it is of, and what people call it."""

    request: BranchRequest
    signal: Signal
    checkpoint: Path
    name: str


def _takes(run: PastRun) -> Iterator[tuple[Part, Take]]:
    """Those whose networks are still there."""
    for part, take in _of_a_main_run(run) if run.settings.method.adapts else _of_a_search(run):
        if take.checkpoint.is_file():
            yield part, take


def _of_a_search(run: PastRun) -> Iterator[tuple[Part, Take]]:
    """The pair of the run's last event: trained with the same seeds, the fresh ones where there were such."""
    finished = run.require_finished()
    calls = {event["branch"]: event["arguments"] for event in run.of("tool_call")}
    best = finished["best"]["candidate"] if finished["best"] is not None else None
    branch = confirm_branch(best) if best is not None and finished["phase"] == "confirm" else best
    seeds = calls[branch]["seeds"] if branch in calls else None
    for name, call in calls.items():
        native = call["candidate"] == NATIVE_ID and seeds in (None, call["seeds"])
        if not native and name != branch:
            continue
        train = {"steps": call["steps"], "algorithm": call["algorithm"]}
        request = _request(run, name, call["candidate"], tuple(call["seeds"]), train)
        signal = NATIVE if native else run.directory.candidate(call["candidate"]).signal
        who = "the native task" if native else call["candidate"]
        checkpoint = run.path / "branches" / name / CHECKPOINT
        yield "before" if native else "after", Take(request, signal, checkpoint, f"trained with {who}")


def _of_a_main_run(run: PastRun) -> Iterator[tuple[Part, Take]]:
    """The first heat's members. Where nothing was promoted, the main run is the plain training."""
    method = run.settings.method
    seeds = method.groups(search_seeds(run.settings.seed, 1, method.search_seeds))[0]
    train = {"fade": method.fade}
    request = _request(run, heat_branch(PLAIN_BRANCH, 1), NATIVE_ID, seeds, train)
    checkpoint = run.path / "branches" / request.branch / CHECKPOINT
    yield "before", Take(request, NATIVE, checkpoint, "of the plain training")
    name = lap_branch(run.of("advanced")[-1]["stage"])
    if (lap := run.directory.lap(name, Lap)) is not None:
        promoted = run.require_finished()["promoted"]
        request = _request(run, heat_branch(name, 1), lap.candidate, seeds, train)
        what = "of the main run at its end" if promoted else "of the main run, which is the plain training"
        yield "after" if promoted else "before", Take(request, lap.trained, run.path / lap.checkpoints[0], what)


def _request(
    run: PastRun, branch: str, candidate: str, seeds: tuple[int, ...], train: Mapping[str, object]
) -> BranchRequest:
    settings = run.settings
    return BranchRequest(
        branch=branch,
        candidate=candidate,
        task=settings.task,
        seeds=seeds,
        train=settings.train.model_copy(update=train),
        evaluation=_episodes(settings),
    )


def _episodes(settings: RunSettings) -> EvaluationConfig:
    """Others than those that decided: how these begin is nobody's business."""
    seed = int.from_bytes(sha256(f"{settings.evaluation.seed}/film".encode()).digest()[:7])
    return EvaluationConfig(episodes=EPISODES, seed=seed)


# ---------------------------------------------------------------- playing and telling


def _played(
    takes: dict[Part, Take], run: PastRun, tell: Callable[[str], None], engage: Callable[[RunSettings], Executor]
) -> tuple[dict[Part, Recording], list[str]]:
    """One episode by each policy, and what is to be said of policies that could not play theirs."""
    executor = engage(run.settings)
    try:
        tell(f"playing {EPISODES} episodes with each policy")
        found = {part: executor.film(take.request, take.signal, take.checkpoint) for part, take in takes.items()}
        able = {part: takes[part] for part, first in found.items() if isinstance(first, Recording)}
        chosen = _most_typical([first.scores for first in found.values() if isinstance(first, Recording)])
        found |= {
            part: executor.film(take.request, take.signal, take.checkpoint, chosen)
            for part, take in able.items()
            if chosen
        }
    finally:
        executor.close()
    faults = [
        f"The policy {takes[part].name} could not be filmed ({failed.stage}: {failed.told})."
        for part, failed in found.items()
        if isinstance(failed, Failure)
    ]
    return {part: played for part, played in found.items() if isinstance(played, Recording)}, faults


def _most_typical(scores: Sequence[Sequence[float]]) -> int:
    """The episode in which all policies together came nearest to their mean scores; the first of equals."""
    means = [fmean(each) for each in scores]
    distances = [
        sum((one - mean) ** 2 for one, mean in zip(each, means, strict=True)) for each in zip(*scores, strict=True)
    ]
    return distances.index(min(distances)) if distances else 0


def _local(settings: RunSettings) -> Executor:
    """Never with an open jail: a run's word is no permission."""
    from marlsmith.marl.local import LocalExecutor

    return LocalExecutor(1, branch_seconds=SECONDS)


def _drawn(task: str, recordings: Sequence[Recording]) -> list[Pictures]:
    if can_draw(task):
        return drawn(recordings)
    from marlsmith.marl.external.filming import rendered

    return rendered(task, recordings)


def _card(task: str) -> TaskCard:
    from marlsmith.marl.tasks import make_task

    return make_task(task).card


def _shot(part: Part, take: Take, recording: Recording, pictures: Pictures, card: TaskCard) -> Shot:
    alt = printable(f"{part.capitalize()}, the policy {take.name}: {told(recording, card)}.", 400)
    return Shot(pictures.data, MIME, pictures.still, alt, pictures.width, pictures.height)


def _note(takes: dict[Part, Take], recordings: dict[Part, Recording], pictures: dict[Part, Pictures]) -> str:
    seed = next(iter(takes.values())).request.seeds[0]
    credit = next(iter(pictures.values())).credit
    means = " and ".join(f"{fmean(recording.scores):.2f} {part}" for part, recording in recordings.items())
    said = [
        f"One episode of seed {seed} that nothing was decided by, the most typical of {EPISODES}: their mean scores"
        f" are {means}."
    ]
    if len(recordings) == 2:
        said.append("Both policies begin it in the same state.")
    said.append(f"It is {credit}.")
    if "before" not in takes:
        said.append("The native task's policy has no networks left in the run's directory, so it is not shown.")
    if "after" not in takes:
        said.append("There is no other policy to compare it with.")
    return " ".join(said)


# ---------------------------------------------------------------- what a finished run keeps


class _KeptShot(Record):
    alt: str = Field(max_length=400)
    width: int = Field(ge=1, le=4096)
    height: int = Field(ge=1, le=4096)


class _KeptFilm(Record):
    note: str = Field(max_length=4000)
    shots: dict[Part, _KeptShot]


def _keep(made: Film, run: PastRun) -> None:
    """The list comes last: without it nothing was kept. Where nothing can be written, the next report films again."""
    shots = {part: shot for part in PARTS if (shot := made.before if part == "before" else made.after) is not None}
    kept = {part: _KeptShot(alt=shot.alt, width=shot.width, height=shot.height) for part, shot in shots.items()}
    with contextlib.suppress(OSError):
        if (run.path / "main").is_symlink():  # of a run from anybody: nothing is written where it leads
            return
        for part, shot in shots.items():
            _put(_file(run, part), shot.data)
            _put(_file(run, f"{part}-still"), shot.still)
        listed = _KeptFilm(note=made.note, shots=kept).model_dump_json(indent=1)
        _put(run.directory.main_file("film"), listed.encode())


def _put(file: Path, data: bytes) -> None:
    with replacing(file) as temporary:
        temporary.write_bytes(data)


def _kept(run: PastRun) -> Film | None:
    """None where there is no film, or one that cannot be read: then it is made again."""
    try:
        kept = _KeptFilm.model_validate_json(run.directory.main_file("film").read_bytes())
        shots = {
            part: Shot(_webp(_file(run, part)), MIME, _webp(_file(run, f"{part}-still")), **shot.model_dump())
            for part, shot in kept.shots.items()
        }
    except (OSError, ValidationError, ValueError):
        return None
    return Film(shots.get("before"), shots.get("after"), kept.note)


def _file(run: PastRun, name: str) -> Path:
    return run.path / "main" / f"film-{name}.webp"


def _webp(file: Path) -> bytes:
    """A run may come from anybody: what goes into a page is a picture, and not a large one."""
    data = file.read_bytes()
    if len(data) > MOST_BYTES or data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise ValueError(f"{file} is no film")
    return data
