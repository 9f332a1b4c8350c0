"""What a run directory refuses, and what it survives."""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import tomllib
from collections import namedtuple
from pathlib import Path

import ormsgpack
import pytest
from graph_fakes import Equipment, make_settings
from hypothesis import given
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from marlsmith.graph import run_directory, toml
from marlsmith.graph.methods import PRESETS, Method, method_from
from marlsmith.graph.run import _saver, resume, start
from marlsmith.graph.run_directory import RunDirectory
from marlsmith.graph.seeds import confirm_seeds, role_seed, search_seeds
from marlsmith.schemas import NATIVE, Candidate, UserError

scalars = st.one_of(st.text(), st.integers(), st.floats(allow_nan=False), st.booleans())
values = st.one_of(scalars, st.lists(scalars, max_size=3), st.lists(st.lists(st.integers(), max_size=3), max_size=3))
tables = st.recursive(
    st.dictionaries(st.text(), values, max_size=4),
    lambda inner: st.dictionaries(st.text(), st.one_of(values, inner), max_size=4),
    max_leaves=12,
)


@given(tables)
def test_toml_reads_back_as_it_was_written(table):
    assert tomllib.loads(toml.dumps(table)) == table


def test_settings_come_back_from_run_toml(tmp_path):
    settings = make_settings(seed=7, margin=0.125, approve=True, branch_seconds=90.5)
    RunDirectory.create(tmp_path / "run", settings, "f", jail={"memory": "limited", "network": False})
    assert RunDirectory.open(tmp_path / "run").settings == settings
    manifest = tomllib.loads((tmp_path / "run/run.toml").read_text())
    assert manifest["jail"] == {"memory": "limited", "network": False}
    assert manifest["seeds"]["search"] == [list(search_seeds(7, 1, 4))]
    assert manifest["versions"]["langgraph"]


def test_a_graph_sqlite_from_elsewhere_calls_nothing(tmp_path):
    """msgpack's extension 0 is a callable by name and its argument."""
    call = ormsgpack.packb(("pathlib", "Path", "seen")), ormsgpack.packb(("os", "mkdir", str(tmp_path / "called")))
    harmless, harmful = (("msgpack", ormsgpack.packb(ormsgpack.Ext(0, payload))) for payload in call)
    with _saver(create(tmp_path / "run")) as saver:
        assert saver.serde.loads_typed(harmless) == Path("seen")
        saver.serde.loads_typed(harmful)
    assert not (tmp_path / "called").exists()
    JsonPlusSerializer().loads_typed(harmful)
    assert (tmp_path / "called").exists(), "this test's attack has lost its sting"


def create(path: Path) -> RunDirectory:
    return RunDirectory.create(path, make_settings(), "f")


def test_an_existing_path_is_refused(tmp_path):
    create(tmp_path / "run")
    with pytest.raises(UserError, match="exists: choose another directory, or `marlsmith resume"):
        create(tmp_path / "run")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.EACCES, "permission denied"), (errno.EROFS, "read-only"), (errno.ENOSPC, "no space left")],
)
def test_a_place_that_cannot_be_written_is_refused_and_left_clean(tmp_path, monkeypatch, number, words):
    def refuse(*arguments, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(run_directory.tempfile, "mkdtemp", refuse)
    with pytest.raises(UserError, match=rf"cannot create .*{words}.*choose another directory"):
        create(tmp_path / "deep" / "er" / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_fault_half_way_through_creation_leaves_nothing(tmp_path, monkeypatch):
    def refuse(*arguments):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(run_directory, "_write", refuse)
    with pytest.raises(UserError, match="no space left"):
        create(tmp_path / "runs" / "run")
    assert list(tmp_path.iterdir()) == []


def test_too_little_space_is_refused(tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 10**9 - 10**6, 10**6))
    with pytest.raises(UserError, match="has 1 MB free and a run needs 100 MB"):
        create(tmp_path / "run")
    assert list(tmp_path.iterdir()) == []


def test_a_parent_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot create"):
        create(tmp_path / "file" / "run")


def test_what_is_not_a_run_is_refused(tmp_path):
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(UserError, match=r"is not a run: it has no run\.toml"):
            list(resume(path, Equipment()))


@pytest.mark.parametrize(
    "damage",
    [lambda text: text[: len(text) // 2], lambda text: "\x00", lambda text: text.replace("rounds", "ruonds")],
)
def test_a_damaged_manifest_is_refused(tmp_path, damage):
    create(tmp_path / "run")
    file = tmp_path / "run/run.toml"
    file.write_text(damage(file.read_text()))
    with pytest.raises(UserError, match=r"run\.toml is damaged .*: restore it, or start a new run"):
        RunDirectory.open(tmp_path / "run")


def test_a_run_of_another_graph_can_be_read_and_not_resumed(tmp_path):
    create(tmp_path / "run")
    assert RunDirectory.open(tmp_path / "run").settings.task == "points"
    with pytest.raises(UserError, match="written by another state machine"):
        list(resume(tmp_path / "run", Equipment()))


def test_a_run_in_use_is_refused_to_a_second_process(tmp_path):
    events = start(make_settings(rounds=1), Equipment(), tmp_path / "run")
    next(events)
    code = (
        "import sys; from pathlib import Path; from marlsmith.graph.run import resume\n"
        "from marlsmith.schemas import UserError\n"
        "try: next(resume(Path(sys.argv[1]), None))\n"
        "except UserError as error: print(error)"
    )
    second = subprocess.run([sys.executable, "-c", code, tmp_path / "run"], capture_output=True, text=True)
    assert f"is in use by process {os.getpid()}: wait for it, or end it" in second.stdout, second.stderr
    assert list(events)[-1]["event"] == "finished"


def test_a_forked_child_does_not_keep_the_lock_of_a_killed_parent(tmp_path):
    directory = create(tmp_path / "run")
    code = (
        "import os, sys, signal, time; from pathlib import Path\n"
        "from marlsmith.graph.run_directory import RunDirectory\n"
        "with RunDirectory.open(Path(sys.argv[1])).lock():\n"
        "    child = os.fork()\n"
        "    if child == 0:\n"
        "        print(os.getpid(), flush=True)\n"
        "        os.close(1), time.sleep(60), os._exit(0)\n"
        "    time.sleep(0.2), os.kill(os.getpid(), signal.SIGKILL)"
    )
    parent = subprocess.run([sys.executable, "-c", code, directory.path], stdout=subprocess.PIPE, text=True)
    try:
        with directory.lock():
            pass
    finally:
        os.kill(int(parent.stdout), signal.SIGKILL)


def test_a_half_written_last_event_is_forgiven_and_mended(tmp_path):
    events = list(start(make_settings(rounds=1), Equipment(), tmp_path / "run"))
    directory = RunDirectory.open(tmp_path / "run")
    whole = list(directory.events())
    with (tmp_path / "run/events.jsonl").open("a") as file:
        file.write('{"event": "judg')
    assert list(directory.events()) == whole
    assert list(resume(tmp_path / "run", Equipment())) == [events[-1]]
    assert (tmp_path / "run/events.jsonl").read_text().endswith("}\n")


def test_a_damaged_event_in_the_middle_is_named(tmp_path):
    directory = create(tmp_path / "run")
    (tmp_path / "run/events.jsonl").write_text('{"event": "a"}\n{"eve\n{"event": "b"}\n')
    with pytest.raises(UserError, match=r"events\.jsonl is damaged in line 2"):
        list(directory.events())


def test_a_damaged_evaluation_is_named(tmp_path):
    directory = create(tmp_path / "run")
    (directory.branch("control-s1") / "evaluation.json").write_text('{"candidate": "native"')
    with pytest.raises(UserError, match=r"evaluation\.json is damaged: restore it"):
        directory.evaluation("control-s1")


@pytest.mark.parametrize(
    ("number", "words"),
    [(errno.ENOSPC, "no space left for .*: free some"), (errno.EROFS, "read-only file system.*: allow it")],
)
def test_a_full_or_locked_disk_during_a_run_is_the_users_to_mend(tmp_path, monkeypatch, number, words):
    directory = create(tmp_path / "run")

    def refuse(*arguments, **named):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "write_text", refuse)
    candidate = Candidate(id="s1r1c1", stage=1, round=1, author="a", kind="new", rationale="", signal=NATIVE)
    with pytest.raises(UserError, match=words):
        directory.write_batch("s1r1-a0", [candidate], ["code"], None)
    assert list((directory.path / "candidates").iterdir()) == []
    assert directory.batch("s1r1-a0") is None


def test_a_store_that_is_no_database_is_named(tmp_path):
    equipment = Equipment()
    events = start(make_settings(), equipment, tmp_path / "run")
    next(events)
    events.close()
    (tmp_path / "run/graph.sqlite").write_bytes(b"not a database, for sure" * 100)
    for leftover in (tmp_path / "run").glob("graph.sqlite-*"):
        leftover.unlink()
    with pytest.raises(UserError, match=r"graph\.sqlite is damaged"):
        list(resume(tmp_path / "run", Equipment()))


def test_presets_are_the_papers_and_every_field_can_be_overridden():
    lero = PRESETS["lero"]
    assert (lero.stages, lero.rounds, lero.candidates, lero.population) == (1, 4, 3, 2)
    table = {name: (method.rounds, method.evolve) for name, method in PRESETS.items() if not method.adapts}
    assert table == {
        "lr": (1, "reward"), "lo": (1, "observation"), "lro": (1, "both"),
        "ler": (4, "reward"), "leo": (4, "observation"), "lero": (4, "both"),
    }  # fmt: skip
    for field, value in Method(rounds=9, population=7, level=0.1).model_dump().items():
        assert getattr(method_from("lr", {field: value}), field) == value
    with pytest.raises(UserError, match=r"--rounds 0: .*greater than or equal to 1"):
        method_from("lero", {"rounds": 0})
    for option, words in (
        ("evolve", "reward, observation or both"),
        ("selection", "top-k, tournament or rank"),
        ("scope", "own or team"),
        ("signals", "config or any"),
    ):
        with pytest.raises(UserError, match=f"^--{option} foo: choose {words}$"):
            method_from("lero", {option: "foo"})
    with pytest.raises(UserError, match=r"^--seeds 0: .*greater than or equal to 1"):
        method_from("lero", {"search_seeds": 0})
    with pytest.raises(UserError, match="unknown method 'leo-also': choose one of lero, lr"):
        method_from("leo-also")


def test_the_presets_of_a_main_run_are_the_design_and_its_arms():
    also = PRESETS["llm-also"]
    assert (also.stages, also.rounds, also.candidates, also.population) == (6, 2, 3, 1)
    assert (also.branch_steps, also.reward_mode, also.search_seeds) == (20_000, "add", 8)
    arms = {name: method for name, method in PRESETS.items() if name.startswith("also-")}
    assert {name: (arm.gate, arm.diagnose, min(arm.proposing_stages, 6)) for name, arm in arms.items()} == {
        "also-metrics": (True, False, 6),
        "also-always": (False, False, 6),
        "also-one-shot": (False, False, 1),
        "also-sparse": (False, False, 0),
    }
    assert all((arm.stages, arm.branch_steps) == (6, 20_000) for arm in arms.values())


def test_a_prelude_searches_for_what_the_main_run_allows():
    method = method_from("lero+also", {"scope": "team", "evolve": "reward", "stages": 3, "candidates": 5})
    assert method.prelude is not None
    assert (method.at(1), method.at(2), method.all_stages) == (method.prelude, method, 4)
    assert (method.prelude.scope, method.prelude.evolve, method.prelude.reward_mode) == ("team", "reward", "add")
    assert (method.prelude.rounds, method.prelude.candidates, method.candidates) == (4, 3, 5)


def test_heats_share_out_the_members_as_evenly_as_can_be():
    also = method_from("llm-also")
    assert also.groups(range(8)) == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert also.groups(range(5)) == [(0, 1), (2, 3, 4)]
    assert also.groups([7]) == [(7,)]
    assert method_from("lero").groups(range(4)) == [(0, 1, 2, 3)]


def test_seeds_never_meet():
    layouts = [
        seeds(run, stage, 100)
        for run in (0, 1, 400_000)
        for stage in (1, 2, 50)
        for seeds in (search_seeds, confirm_seeds)
    ]
    every = [seed for layout in layouts for seed in layout]
    assert len(every) == len(set(every))
    assert max(every) < 2**32
    assert len({role_seed(0, s, r, a) for s in (1, 2) for r in (1, 2) for a in (0, 1)}) == 8
    with pytest.raises(ValueError, match="out of the layout"):
        search_seeds(0, 51, 4)


def test_run_files_are_json(tmp_path):
    list(start(make_settings(rounds=1), Equipment(), tmp_path / "run"))
    files = [*(tmp_path / "run").glob("candidates/*.json"), *(tmp_path / "run").glob("branches/*/*.json")]
    assert len(files) == 3 + 1 + 1 + 3 + 1 + 6  # candidates, batch, checks, values, the promotion's review, evaluations
    assert all(json.loads(file.read_text()) for file in files)
    assert not list((tmp_path / "run").rglob("*.tmp"))
