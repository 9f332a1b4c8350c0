"""The system call filter of both processors, run by an interpreter of its instructions: what it lets through."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from marlsmith.marl.jail.seccomp import (
    ACCELERATOR_FREELY,
    ALLOW,
    AUDIT_ARCHITECTURE,
    FREELY,
    KILL_PROCESS,
    REFUSE,
    Instruction,
    program,
)
from marlsmith.marl.jail.syscalls import NUMBERS

PID = 4321
HIGH = 1 << 32
MACHINES = ("x86_64", "aarch64")
HEADERS = {
    "x86_64": ("/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"),
    "aarch64": ("/usr/include/asm-generic/unistd.h", "/usr/include/aarch64-linux-gnu/asm/unistd_64.h"),
}
WELL_KNOWN = {
    "x86_64": {"read": 0, "mmap": 9, "ioctl": 16, "clone": 56, "execve": 59, "ptrace": 101, "openat": 257, "bpf": 321},
    "aarch64": {"ioctl": 29, "openat": 56, "read": 63, "ptrace": 117, "clone": 220, "execve": 221, "mmap": 222},
}
ALWAYS = {
    *("brk", "mmap", "munmap", "mremap", "mprotect", "madvise"),
    *("read", "write", "recvfrom", "readv", "writev", "poll", "ppoll", "close", "getsockname"),
    *("futex", "sched_yield", "getrandom", "getpid", "getppid", "gettid", "getrusage"),
    *("nanosleep", "gettimeofday", "time"),
    *("rt_sigreturn", "rt_sigprocmask", "restart_syscall", "exit", "exit_group"),
}
CLOCKS = ("clock_gettime", "clock_getres", "clock_nanosleep")
SOMETIMES = {"tgkill", "prlimit64", "sched_getaffinity", "rt_sigaction", "sendto", "getsockopt", *CLOCKS}
SPREAD = (0, 1, 11, PID, 1 << 16, HIGH - 1, HIGH, 1 << 63)
REFUSED, MISSING = REFUSE | errno.EPERM, REFUSE | errno.ENOSYS


def run(made: list[Instruction], architecture: int, number: int, arguments: tuple[int, ...] = ()) -> int:
    """The classic packet-filter machine, as far as these programs go; a jump backwards or out of them fails."""
    six = (*arguments, 0, 0, 0, 0, 0, 0)[:6]
    data = struct.pack("<IIQ6Q", number & 0xFFFFFFFF, architecture, 0, *six)
    at, word = 0, 0
    while True:
        code, when_true, when_false, constant = made[at]
        at += 1
        match code:
            case 0x20:
                assert constant % 4 == 0
                word = struct.unpack_from("<I", data, constant)[0]
            case 0x54:
                word &= constant
            case 0x15:
                at += when_true if word == constant else when_false
            case 0x45:
                at += when_true if word & constant else when_false
            case 0x06:
                return constant
            case _:
                raise AssertionError(f"instruction {code:#x}")


def verdict(machine: str, name: str, *arguments: int, accelerator: bool = False) -> int:
    made = program(machine, PID, accelerator)
    return run(made, AUDIT_ARCHITECTURE[machine], NUMBERS[machine][name], arguments)


def header(machine: str) -> dict[str, int]:
    for path in map(Path, HEADERS[machine]):
        if path.is_file():
            found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", path.read_text())
            return {{"fstatat": "newfstatat"}.get(name, name): int(number) for name, number in found}
    return {}


@pytest.mark.parametrize("machine", MACHINES)
def test_numbers_are_the_kernels(machine: str) -> None:
    known = header(machine) or WELL_KNOWN[machine]
    assert WELL_KNOWN[machine].items() <= known.items()
    shared = NUMBERS[machine].keys() & known.keys()
    assert len(shared) >= len(WELL_KNOWN[machine]) - 2
    assert {name: NUMBERS[machine][name] for name in shared} == {name: known[name] for name in shared}
    if header(machine):
        assert NUMBERS[machine].keys() <= known.keys() | {"rseq"}
    assert len(set(NUMBERS[machine].values())) == len(NUMBERS[machine])


@pytest.mark.parametrize("machine", MACHINES)
def test_every_named_call_has_a_number_on_some_processor(machine: str) -> None:
    assert {*FREELY, *ACCELERATOR_FREELY} <= {name for table in NUMBERS.values() for name in table}
    absent = {*FREELY, *ACCELERATOR_FREELY} - NUMBERS[machine].keys()
    old = {"poll", "time", "readlink", "open", "stat", "access", "epoll_wait"}
    assert absent == (set() if machine == "x86_64" else old)


@pytest.mark.parametrize("machine", MACHINES)
def test_only_the_calls_of_the_list_come_through(machine: str) -> None:
    made = program(machine, PID)
    names = {number: name for name, number in NUMBERS[machine].items()}
    for number in range(600):
        answers = {
            run(made, AUDIT_ARCHITECTURE[machine], number, (first, second, third, 0, fifth, 0))
            for first in SPREAD
            for second in SPREAD
            for third in (0, 3)
            for fifth in (0, 1)
        }
        name = names.get(number)
        if name in ALWAYS:
            assert answers == {ALLOW}, name
        elif name in SOMETIMES:
            assert answers == {ALLOW, REFUSED}, name
        else:
            assert answers == {MISSING if name == "clone3" else REFUSED}, (number, name)


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("accelerator", [False, True])
def test_another_processors_calls_end_the_process(machine: str, accelerator: bool) -> None:
    made = program(machine, PID, accelerator)
    i386, arm, riscv = 0x40000003, 0x40000028, 0xC00000F3
    others = {i386, arm, riscv, 0, *AUDIT_ARCHITECTURE.values()} - {AUDIT_ARCHITECTURE[machine]}
    for architecture in others:
        assert {run(made, architecture, number) for number in range(600)} == {KILL_PROCESS}


def test_the_second_table_of_x86_64_ends_the_process() -> None:
    made = program("x86_64", PID)
    numbers = [*range(600), 0x3FFFFFFF]
    assert {run(made, AUDIT_ARCHITECTURE["x86_64"], 0x40000000 | number) for number in numbers} == {KILL_PROCESS}
    assert run(made, AUDIT_ARCHITECTURE["x86_64"], -1) == KILL_PROCESS


@pytest.mark.parametrize("accelerator", [False, True])
@pytest.mark.parametrize("machine", MACHINES)
def test_arguments_are_compared_in_both_halves(machine: str, accelerator: bool) -> None:
    def allowed(name: str, *arguments: int) -> bool:
        return verdict(machine, name, *arguments, accelerator=accelerator) == ALLOW

    assert allowed("tgkill", PID, PID + 1, 6)
    for other in (0, 1, PID + 1, PID - 1, PID | HIGH, HIGH - 1, (1 << 64) - 1):
        assert not allowed("tgkill", other, PID, 6), other
        assert not allowed("prlimit64", other or PID, 9, 0, 0), other
    assert allowed("prlimit64", 0, 9, 1, 1)
    assert not allowed("prlimit64", HIGH)
    for pid in (0, PID):
        assert allowed("sched_getaffinity", pid)
        assert allowed("sched_setaffinity", pid) == accelerator
    assert not allowed("sched_getaffinity", 1)
    assert [number for number in range(1, 65) if allowed("rt_sigaction", number)] == [4, 6, 7, 8, 11, 24]
    assert not allowed("rt_sigaction", 11 | HIGH)
    for name in CLOCKS:
        assert all(allowed(name, clock) for clock in range(12))
        for other in (~PID << 3 | 2, -6):
            assert not allowed(name, other & 0xFFFFFFFF)
            assert not allowed(name, other & (1 << 64) - 1)
    assert [option for option in range(100) if allowed("getsockopt", 3, 1, option)] == [3, 4, 38, 39]
    assert not any(allowed("getsockopt", 3, level, 3) for level in (0, 6, 41, 1 | HIGH))
    assert allowed("sendto", 3, 1, 5, 0, 0, 0)
    for address, length in ((1, 0), (0, 1), (HIGH, 0), (0, HIGH)):
        assert not allowed("sendto", 3, 1, 5, 0, address, length)


@pytest.mark.parametrize("machine", MACHINES)
def test_an_accelerator_brings_threads_but_no_processes(machine: str) -> None:
    thread, fork, vfork, namespace = 0x3D0F00, 17, 0x4111, 0x10000011
    assert verdict(machine, "clone", thread, accelerator=True) == ALLOW
    for flags in (fork, vfork, namespace, 0, HIGH << 16):
        assert verdict(machine, "clone", flags, accelerator=True) == REFUSED
    assert verdict(machine, "clone", thread) == REFUSED
    assert verdict(machine, "clone3", 0, accelerator=True) == MISSING
    # its driver's controls, not the terminal's
    assert verdict(machine, "ioctl", 7, 0xC020462A, accelerator=True) == ALLOW
    for control in (0x5412, 0x541C, 0x541C | HIGH):
        assert verdict(machine, "ioctl", 0, control, accelerator=True) == REFUSED
    assert {c for c in range(1100) if verdict(machine, "fcntl", 0, c, accelerator=True) == ALLOW} == {
        *range(5),
        1030,
    }
    assert [o for o in range(80) if verdict(machine, "prctl", o, accelerator=True) == ALLOW] == [15]


@pytest.mark.parametrize("machine", MACHINES)
def test_an_accelerator_brings_nothing_that_reaches_others(machine: str) -> None:
    brought = {name for name in NUMBERS[machine] if verdict(machine, name, accelerator=True) == ALLOW}
    # with arguments of zero: clone and prctl need others
    extra = brought - ALWAYS - SOMETIMES
    assert extra == ({*ACCELERATOR_FREELY, "ioctl", "fcntl", "sched_setaffinity"} & NUMBERS[machine].keys())
    reaching = ("execve", "ptrace", "pidfd_open", "process_vm_readv", "memfd_create", "mount", "bpf", "io_uring_setup")
    for name in (*reaching, "sendmsg", "recvmsg", "tkill", "setns", "unshare", "seccomp", "landlock_restrict_self"):
        assert verdict(machine, name, accelerator=True) == REFUSED
    known = header(machine) or WELL_KNOWN[machine]
    made = program(machine, PID, True)
    for name in ("socket", "connect", "bind", "kill", "unlinkat", "renameat2", "mkdirat", "fchmodat", "socketpair"):
        if name in known:
            assert run(made, AUDIT_ARCHITECTURE[machine], known[name]) == REFUSED


@pytest.mark.parametrize("machine", MACHINES)
@pytest.mark.parametrize("accelerator", [False, True])
def test_the_kernel_would_take_the_program(machine: str, accelerator: bool) -> None:
    made = program(machine, 0x7FFFFFFF, accelerator)
    assert len(made) <= 4096
    for at, (code, when_true, when_false, constant) in enumerate(made):
        assert 0 <= constant < HIGH
        if code in (0x15, 0x45):
            assert at + 1 + max(when_true, when_false) < len(made)
        if code == 0x20:
            assert constant < 64
    assert made[-1][0] == 0x06
