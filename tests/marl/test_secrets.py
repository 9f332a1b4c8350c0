"""No key of the orchestrator's is to be found in a worker, by whatever way one looks for it."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from marlsmith.marl.workers.contract import Limits
from marlsmith.marl.workers.environment import ALLOWED
from marlsmith.marl.workers.pool import Pool

HANDLERS = Path(__file__).with_name("jail_jobs.py")
LIMITS = Limits(wall_seconds=60, stall_seconds=60, memory_bytes=512 << 20, cpu_seconds=20)
SECRETS = {
    "OPENAI_API_KEY": "sk-proj-R2x9mNq7LwZt4bVd",
    "ANTHROPIC_API_KEY": "sk-ant-Kc83hFyPq0sWjT5u",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMIbPxRfiCYzz",
    "WANDB_API_KEY": "9f1c7ab3e6d04852bd77",
    "HTTPS_PROXY": "http://user:hunter2-Gq7@proxy:3128",
    "LD_LIBRARY_PATH": "/nowhere/Lq2v8",
    "PYTHONPATH": "/nowhere/Pw5n3",
    "LC_MY_TOKEN": "ghp-T7w2mXv4",
}


@dataclass(frozen=True)
class Look:
    inside: dict[str, Any]
    """What the worker found."""
    outside: dict[str, bytes]
    """Files of /proc about the worker and its server, as its owner reads them meanwhile."""
    descriptors: dict[int, str]
    memory: bytes


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Look]:
    """One search in a worker of an orchestrator that has many secrets, seen from both sides."""
    secret = tmp_path_factory.mktemp("home") / "marlsmith.toml"
    secret.write_text(f"key = {SECRETS['OPENAI_API_KEY']!r}\n")
    outside: dict[str, bytes] = {}
    descriptors: dict[int, str] = {}
    memory = bytearray()

    def watch(progress: dict[str, Any]) -> None:
        os.kill(progress["pid"], signal.SIGSTOP)  # it stays where it is, however busy the machine
        worker = Path(f"/proc/{progress['pid']}")
        for process in (worker, Path(f"/proc/{progress['server']}")):
            for name in ("environ", "cmdline"):
                outside[f"{process.name} {name}"] = (process / name).read_bytes()
        for one in (worker / "fd").iterdir():
            descriptors[int(one.name)] = os.readlink(one)
        memory.extend(writable_memory(worker))
        os.kill(progress["pid"], signal.SIGCONT)

    with pytest.MonkeyPatch.context() as patch:
        for name, value in SECRETS.items():
            patch.setenv(name, value)
        with Pool(1, {"search": f"{HANDLERS}:search"}) as pool:
            arguments = {
                "linger": 0.3,
                "names": list(SECRETS),
                "processes": [1, os.getpid(), os.getppid()],
                "victim": str(secret),
                "paths": [str(secret), str(Path.home()), "/etc/passwd", "/etc/hostname", "/dev/mem", "."],
            }
            inside = pool.run("search", arguments, LIMITS, watch).value
        assert secret.read_text().startswith("key")
        yield Look(inside, outside, descriptors, bytes(memory))


def writable_memory(process: Path) -> bytes:
    """Heap, stack and anonymous pages of a process, as far as we may read them."""
    found = bytearray()
    with (process / "mem").open("rb", 0) as memory:
        for line in (process / "maps").read_text().splitlines():
            span, access, _, _, _, *name = line.split()
            if not access.startswith("rw") or (name and name[0] not in {"[heap]", "[stack]"}):
                continue
            begin, end = (int(part, 16) for part in span.split("-"))
            memory.seek(begin)
            try:
                found += memory.read(min(end - begin, 64 << 20))
            except OSError:
                continue
    return bytes(found)


def refused(answer: str) -> bool:
    return re.fullmatch(r"refused \d+", answer) is not None


def test_only_allowed_variables_are_there(look: Look) -> None:
    """Python, the C library and the kernel keep a copy each."""
    launched = [entry for name, data in look.outside.items() if name.endswith("environ") for entry in data.split(b"\0")]
    names = {entry.partition(b"=")[0].decode() for entry in launched if entry}
    assert names | set(look.inside["environment"]) <= ALLOWED
    assert "PATH" in names
    assert look.inside["c library"] == []


def test_no_secret_in_what_the_process_was_started_with(look: Look) -> None:
    block = look.inside["block"]
    assert any(entry.startswith("PATH=") for entry in block)  # the search has found the right place
    assert any("marlsmith.marl.workers.server" in entry for entry in block)
    text = "\0".join([*block, *look.inside["arguments"], str(look.inside["environment"]), str(look.outside)])
    assert not [value for value in SECRETS.values() if value in text]


def test_no_secret_in_its_memory(look: Look) -> None:
    found = {text for text in ("TORCHINDUCTOR_CACHE_DIR", *SECRETS.values()) if text.encode() in look.memory}
    assert found == {"TORCHINDUCTOR_CACHE_DIR"}  # which shows that the right memory was looked through


def test_nothing_is_open_but_its_own_connections(look: Look) -> None:
    assert set(look.descriptors) == {0, 1, 2, 3}
    assert look.descriptors[0] == look.descriptors[1] == "/dev/null"
    assert look.descriptors[2].startswith("pipe:")
    assert look.descriptors[3].startswith("socket:")


def test_no_path_leads_anywhere(look: Look) -> None:
    """/proc of itself, of its server, of the orchestrator and of others; files of the user and of the system."""
    assert len(look.inside["opened"]) > 30
    assert {path: answer for path, answer in look.inside["opened"].items() if not refused(answer)} == {}
    assert refused(look.inside["listed"])
    assert refused(look.inside["linked"])
    assert refused(look.inside["written"])


def test_a_search_without_a_jail_finds_files(tmp_path: Path) -> None:
    """What is refused above is there: the probes do not fail for another reason."""
    with Pool(1, {"search": f"{HANDLERS}:search"}, jail="off") as pool:
        file = tmp_path / "file"
        file.write_text("key = 1\n")
        arguments = {
            "linger": 0.0, "names": [], "paths": [str(file)], "victim": str(tmp_path / "victim"),
            "processes": [],  # ours would lose what stands in its pipes
        }  # fmt: skip
        inside = pool.run("search", arguments, LIMITS).value
    opened = inside["opened"]
    assert opened[str(file)].startswith("read b'key")
    assert opened["/proc/self/environ"].startswith("read b'")
    assert inside["listed"].startswith("read")
    assert inside["linked"].startswith("read")


def test_a_secret_that_comes_later_stays_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Set after the pool began, and the server is started anew under it."""
    with Pool(1, {"search": f"{HANDLERS}:search"}) as pool:
        monkeypatch.setenv("OPENAI_API_KEY", SECRETS["OPENAI_API_KEY"])
        pool._server.destroy()
        arguments = {
            "linger": 0.0,
            "names": ["OPENAI_API_KEY"],
            "processes": [],
            "paths": [],
            "victim": str(tmp_path / "victim"),
        }
        inside = pool.run("search", arguments, LIMITS).value
    assert SECRETS["OPENAI_API_KEY"] not in str(inside)
    assert inside["c library"] == []
