"""What a locked-down worker tries, act by act, against victims made for it: see acts.py for the table.

An attempt that is refused raises OSError with one of `REFUSALS`, or Refused. Whatever else comes of it, an error
or not, was let through. No attempt does harm beyond its victim.
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
import resource
import select
import signal
import socket
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from marlsmith.marl.jail.acts import ACTS, LINK, REFUSALS, SECRET
from marlsmith.marl.jail.lockdown import bury, layers
from marlsmith.marl.jail.syscalls import call
from marlsmith.marl.workers.jobs import PEER_FD

HIGHEST_DESCRIPTOR = 4096
FIRST_FOREIGN_DESCRIPTOR = PEER_FD + 1
JOB_FD = 3
AT_FDCWD = -100
NOWHERE = 1  # an address that is no memory: the call fails after every check of the rules
TERM = int(signal.SIGTERM)
QUEUED = struct.pack("=iii", TERM, 0, -1).ljust(128, b"\0")  # siginfo_t with SI_QUEUE
IPC_PRIVATE, IPC_NEW, IPC_RMID = 0, 0o1000 | 0o600, 0


@dataclass(frozen=True)
class Victims:
    """What the self-test has made: see selftest.py, whose arguments these are."""

    directory: str
    tcp: int
    udp: int
    unix: str
    abstract: str
    process: int
    address: int
    """Of a byte in that process which nobody uses."""
    target: int
    """A process to be signalled."""
    allowed: Sequence[str]
    """The names that this process's environment may hold."""

    def file(self, name: str = SECRET) -> str:
        return os.path.join(self.directory, name)

    @property
    def secret(self) -> bytes:
        return self.file().encode()


class Refused(Exception):
    """Refused in another way than by an errno."""


class CameThrough(Exception):
    """With what came of it."""


def probe(arguments: dict[str, Any], report: Callable[[dict[str, Any]], None]) -> tuple[dict[str, Any], None]:
    """Try every act of the table. A worker's job, to be run after the lock-down."""
    victims = Victims(**arguments)
    return {"layers": list(layers()), "probes": [_tried(act.name, act.group, victims) for act in ACTS]}, None


def _tried(act: str, group: str, victims: Victims) -> dict[str, Any]:
    refused, answer = False, "it worked"
    try:
        ATTEMPTS[act](victims)
    except OSError as error:
        number = error.errno or 0
        refused = number in REFUSALS
        answer = errno.errorcode.get(number, str(error))
    except Refused as error:
        refused, answer = True, str(error)
    except CameThrough as error:
        answer = str(error)
    except Exception as error:  # an act that fails in an unforeseen way is not proven refused
        answer = f"{type(error).__name__}: {error}"[:100]
    return {"act": act, "group": group, "refused": refused, "answer": answer}


# ---------------------------------------------------------------- attempts of more than one step


def _hold_descriptors(victims: Victims) -> None:
    held = []
    for number in range(FIRST_FOREIGN_DESCRIPTOR, HIGHEST_DESCRIPTOR):
        asked = select.poll()  # the one question about a descriptor that is still allowed
        asked.register(number)
        if (number, select.POLLNVAL) not in asked.poll(0):
            held.append(number)
    if not held:
        raise Refused("it holds none")
    raise CameThrough(f"it holds {', '.join(map(str, held[:10]))}")


def _see_variables(victims: Victims) -> None:
    foreign = sorted(set(os.environ) - set(victims.allowed))
    if not foreign:
        raise Refused("it sees none")
    raise CameThrough(f"it sees {', '.join(foreign[:10])}")


def _own_descriptor(victims: Victims) -> None:
    fcntl.fcntl(0, fcntl.F_SETOWN, victims.target)
    fcntl.fcntl(0, fcntl.F_SETOWN, 0)


def _listen(victims: Victims) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("127.0.0.1", 0))
        made.listen()


def _send(victims: Victims) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"probe", ("127.0.0.1", victims.udp))


def _pair(victims: Victims) -> None:
    for made in socket.socketpair():
        made.close()


def _append(victims: Victims) -> None:
    descriptor = os.open(victims.file("appended"), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, b"probe")
    except OSError as error:  # by the limit of written bytes: but it stood open
        raise CameThrough("it could be opened for writing") from error
    finally:
        os.close(descriptor)


def _handle(victims: Victims) -> None:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
    call("name_to_handle_at", AT_FDCWD, victims.secret, handle, ctypes.create_string_buffer(4), 0)


def _fork_by_clone3(victims: Victims) -> None:
    wanted = struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    bury(call("clone3", wanted, len(wanted)))


def _take_descriptor(victims: Victims) -> None:
    descriptor = call("pidfd_open", victims.process, 0)
    try:
        os.close(call("pidfd_getfd", descriptor, 0, 0))
    finally:
        os.close(descriptor)


def _signal_by_descriptor(victims: Victims) -> None:
    descriptor = call("pidfd_open", victims.target, 0)
    try:
        call("pidfd_send_signal", descriptor, TERM, None, 0)
    finally:
        os.close(descriptor)


def _reach_memory(name: str, victims: Victims) -> None:
    """Read a byte of the victim, or write a zero over a zero."""
    here = ctypes.create_string_buffer(1)
    ours, theirs = struct.pack("=QQ", ctypes.addressof(here), 1), struct.pack("=QQ", victims.address, 1)
    call(name, victims.process, ours, 1, theirs, 1, 0)


def _open_peer(victims: Victims) -> None:
    descriptor, size = ctypes.c_int(), ctypes.c_int(4)
    call("getsockopt", JOB_FD, socket.SOL_SOCKET, 77, ctypes.byref(descriptor), ctypes.byref(size))  # SO_PEERPIDFD
    os.close(descriptor.value)


def _map_bpf(victims: Victims) -> None:
    array = struct.pack("=IIII", 2, 4, 4, 1).ljust(72, b"\0")  # BPF_MAP_TYPE_ARRAY, key, value, entries
    os.close(call("bpf", 0, array, len(array)))


def _count_events(victims: Victims) -> None:
    clock = struct.pack("=IIQQQQQ", 1, 64, 0, 0, 0, 0, 1 | 1 << 5 | 1 << 6).ljust(64, b"\0")  # software, user only
    os.close(call("perf_event_open", clock, 0, -1, -1, 0))


def _open_queue(victims: Victims) -> None:
    name = victims.abstract.encode()
    os.close(call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
    call("mq_unlink", name)


def _set_timer(victims: Victims) -> None:
    timer = ctypes.c_int()
    call("timer_create", 1, None, ctypes.byref(timer))  # CLOCK_MONOTONIC
    call("timer_delete", timer.value)


def _pipe(victims: Victims) -> None:
    for descriptor in os.pipe():
        os.close(descriptor)


def _start_thread(victims: Victims) -> None:
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError as error:
        raise Refused(str(error)) from None
    thread.join()


def _connect(family: int, address: Any) -> None:
    with socket.socket(family, socket.SOCK_STREAM) as made:
        made.connect(address)


def _raise_limit(limit: int, by: int) -> None:
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY:
        raise CameThrough("there is no limit")
    call("prlimit64", 0, int(limit), struct.pack("=QQ", hard + by, hard + by), None)


def _room(size: int) -> Any:
    """For the kernel to write into."""
    return ctypes.create_string_buffer(size)


# ---------------------------------------------------------------- the attempts


# By act. What an attempt returns says nothing; what it opens, it closes. Programs are executed with bad arguments,
# for a success would end this one.
ATTEMPTS: dict[str, Callable[[Victims], object]] = {
    # descriptors and environment
    "hold other descriptors than its own": _hold_descriptors,
    "copy a descriptor": lambda v: os.close(os.dup(0)),
    "change who owns a descriptor": _own_descriptor,
    "pass a descriptor on": lambda v: call("sendmsg", JOB_FD, _room(56), socket.MSG_DONTWAIT),  # an empty message
    "receive a descriptor": lambda v: call("recvmsg", JOB_FD, _room(56), socket.MSG_DONTWAIT | socket.MSG_PEEK),
    "see other variables than those allowed": _see_variables,
    # network
    "connect by TCP": lambda v: _connect(socket.AF_INET, ("127.0.0.1", v.tcp)),
    "listen by TCP": _listen,
    "send by UDP": _send,
    "connect to a unix socket by its path": lambda v: _connect(socket.AF_UNIX, v.unix),
    "connect to a unix socket by its abstract name": lambda v: _connect(socket.AF_UNIX, "\0" + v.abstract),
    "make a netlink socket": lambda v: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close(),
    "make a pair of sockets": _pair,
    # read
    "open a file by open": lambda v: os.close(call("open", v.secret, os.O_RDONLY)),
    "open a file by openat": lambda v: os.close(call("openat", AT_FDCWD, v.secret, os.O_RDONLY)),
    "open a file by openat2": lambda v: os.close(
        call("openat2", AT_FDCWD, v.secret, struct.pack("=QQQ", os.O_RDONLY, 0, 0), 24)
    ),
    "open /etc/passwd": lambda v: os.close(os.open("/etc/passwd", os.O_RDONLY)),
    "open the environment of its parent": lambda v: os.close(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY)),
    "open the memory of its parent": lambda v: os.close(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY)),
    "list a directory": lambda v: os.listdir(v.directory),
    "change its directory": lambda v: os.chdir(v.directory),
    "make a handle of a file": _handle,
    "watch a directory": lambda v: os.close(call("inotify_init1", os.O_CLOEXEC)),
    # metadata
    "stat a file": lambda v: os.stat(v.file()),
    "stat a file by statx": lambda v: call("statx", AT_FDCWD, v.secret, 0, 0x7FF, _room(256)),
    "ask for access to a file": lambda v: call("faccessat", AT_FDCWD, v.secret, os.R_OK),
    "read a symbolic link": lambda v: os.readlink(v.file(LINK)),
    # write
    "create a file": lambda v: os.close(os.open(v.file("created"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)),
    "append to a file": _append,
    "truncate a file": lambda v: os.truncate(v.file("truncated"), 0),
    "remove a file": lambda v: os.unlink(v.file("removed")),
    "rename a file": lambda v: os.rename(v.file("renamed"), v.file("new name")),
    "change the mode of a file": lambda v: os.chmod(v.file("mode"), 0o666),
    "change the times of a file": lambda v: os.utime(v.file("times"), (0, 0)),
    "make a directory": lambda v: os.mkdir(v.file("directory")),
    "make a symbolic link": lambda v: os.symlink("/etc/passwd", v.file("symbolic")),
    "make a hard link": lambda v: os.link(v.file(), v.file("hard")),
    "make a named pipe": lambda v: os.mkfifo(v.file("pipe")),
    # exec
    "execute a program by execve": lambda v: call("execve", b"/bin/true", NOWHERE, 0),
    "execute a program by execveat": lambda v: call("execveat", AT_FDCWD, b"/bin/true", NOWHERE, 0, 0),
    "execute a program by posix_spawn": lambda v: os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0),
    "fork": lambda v: bury(os.fork()),
    "fork by clone": lambda v: bury(call("clone", int(signal.SIGCHLD), 0, 0, 0, 0)),
    "fork by clone3": _fork_by_clone3,
    # processes
    "open a process": lambda v: os.close(call("pidfd_open", v.process, 0)),
    "take a descriptor of a process": _take_descriptor,
    # PTRACE_SEIZE: does not stop it, ends with the worker
    "trace a process": lambda v: call("ptrace", 0x4206, v.process, 0, 0),
    "read the memory of a process": lambda v: _reach_memory("process_vm_readv", v),
    "write the memory of a process": lambda v: _reach_memory("process_vm_writev", v),
    "limit a process": lambda v: call(
        "prlimit64", v.process, int(resource.RLIMIT_CORE), struct.pack("=QQ", 0, 0), None
    ),
    "slow a process down": lambda v: os.setpriority(os.PRIO_PROCESS, v.process, 19),
    "choose the processors of a process": lambda v: os.sched_setaffinity(v.process, os.sched_getaffinity(0)),
    "choose the scheduler of a process": lambda v: call(
        "sched_setscheduler", v.process, int(os.SCHED_BATCH), struct.pack("=i", 0)
    ),
    "compare with a process": lambda v: call("kcmp", os.getpid(), v.process, 1, 0, 0),  # KCMP_VM
    "read the clock of a process": lambda v: call("clock_gettime", ~v.process << 3 | 2, _room(16)),  # CPUCLOCK_SCHED
    "open the process at the other end": _open_peer,
    # limits
    "raise the memory limit": lambda v: _raise_limit(resource.RLIMIT_AS, 1 << 30),
    "raise the CPU limit": lambda v: _raise_limit(resource.RLIMIT_CPU, 60),
    "raise the limit of written bytes": lambda v: _raise_limit(resource.RLIMIT_FSIZE, 1 << 20),
    # asks who handles it
    "handle the signal of a timer": lambda v: call("rt_sigaction", int(signal.SIGALRM), None, _room(152), 8),
    "start a thread": _start_thread,
    # signals
    "signal its parent": lambda v: os.kill(os.getppid(), 0),
    "signal every process": lambda v: os.kill(-1, 0),
    "signal a process by a descriptor": _signal_by_descriptor,
    "signal a process by kill": lambda v: os.kill(v.target, TERM),
    "signal a process by tkill": lambda v: call("tkill", v.target, TERM),
    "signal a process by tgkill": lambda v: call("tgkill", v.target, v.target, TERM),
    "signal a process by rt_sigqueueinfo": lambda v: call("rt_sigqueueinfo", v.target, TERM, QUEUED),
    "signal a process by rt_tgsigqueueinfo": lambda v: call("rt_tgsigqueueinfo", v.target, v.target, TERM, QUEUED),
    # kernel
    "set up io_uring": lambda v: os.close(call("io_uring_setup", 8, _room(120))),
    "load a BPF map": _map_bpf,
    "count performance events": _count_events,
    "handle page faults": lambda v: os.close(call("userfaultfd", os.O_CLOEXEC | 1)),  # of user code only
    "use the keyring": lambda v: call("keyctl", 1, None, 0, 0, 0),  # KEYCTL_JOIN_SESSION_KEYRING
    "mount a file system": lambda v: call("mount", b"none", v.directory.encode(), b"no such file system", 0, None),
    "enter a namespace": lambda v: call("setns", 0, 0),
    "make a memory file": lambda v: os.close(call("memfd_create", b"probe", 0)),
    "make shared memory": lambda v: call("shmctl", call("shmget", IPC_PRIVATE, 4096, IPC_NEW), IPC_RMID, None),
    "make semaphores": lambda v: call("semctl", call("semget", IPC_PRIVATE, 1, IPC_NEW), 0, IPC_RMID, 0),
    "make a message queue": lambda v: call("msgctl", call("msgget", IPC_PRIVATE, IPC_NEW), IPC_RMID, None),
    "open a POSIX message queue": _open_queue,
    "change its personality": lambda v: call("personality", 0xFFFFFFFF),  # asks which it is
    "change its user": lambda v: call("setuid", 0),
    "change its root": lambda v: call("chroot", b"/"),
    "type into the terminal": lambda v: call("ioctl", 0, 0x5412, b" "),  # TIOCSTI
    "read the log of the kernel": lambda v: call("syslog", 10, None, 0),  # SYSLOG_ACTION_SIZE_BUFFER
    "make a timer": _set_timer,
    "make a pipe": _pipe,
    # PR_GET_PDEATHSIG
    "change its process attributes": lambda v: call("prctl", 2, ctypes.byref(ctypes.c_int()), 0, 0, 0),
    "add a landlock rule": lambda v: call("landlock_create_ruleset", None, 0, 1),  # asks for the version
    # asks whether there is SECCOMP_RET_ALLOW
    "add a system call filter": lambda v: call("seccomp", 2, 0, ctypes.byref(ctypes.c_uint32(0x7FFF0000))),
    "leave its namespace": lambda v: call("unshare", 0x10000000),  # CLONE_NEWUSER
}
