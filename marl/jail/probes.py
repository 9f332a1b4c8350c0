"""What a locked-down worker tries, act by act, against victims made for it: see acts.py for the table.

An attempt that is refused raises OSError with one of `REFUSALS`, or Refused. What comes back with anything
else, an error or not, was let through. No attempt does harm beyond its victim.
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
from collections.abc import Callable
from typing import Any

from marlsmith.marl.jail.acts import ACTS, LINK, REFUSALS, SECRET
from marlsmith.marl.jail.lockdown import layers
from marlsmith.marl.jail.syscalls import call
from marlsmith.marl.workers.jobs import PEER_FD

Arguments = dict[str, Any]
Attempt = Callable[[Arguments], str | None]
Report = Callable[[dict[str, Any]], None]

HIGHEST_DESCRIPTOR = 4096
FIRST_FOREIGN_DESCRIPTOR = PEER_FD + 1
JOB_FD = 3
AT_FDCWD = -100
NOWHERE = 1  # an address that is no memory: the call fails after every check of the rules

ATTEMPTS: dict[str, Attempt] = {}


class Refused(Exception):
    """Refused in another way than by an errno."""


def probe(arguments: Arguments, report: Report) -> tuple[dict[str, Any], None]:
    """Try every act of the table. A worker's job, to be run after the lock-down."""
    return {"layers": list(layers()), "probes": [_tried(act.name, act.group, arguments) for act in ACTS]}, None


def _tried(act: str, group: str, arguments: Arguments) -> dict[str, Any]:
    refused = False
    try:
        answer = ATTEMPTS[act](arguments) or "it worked"
    except OSError as error:
        number = error.errno or 0
        refused = number in REFUSALS
        answer = errno.errorcode.get(number, str(error))
    except Refused as error:
        refused, answer = True, str(error)
    except Exception as error:  # an act that fails in an unforeseen way is not proven refused
        answer = f"{type(error).__name__}: {error}"[:100]
    return {"act": act, "group": group, "refused": refused, "answer": answer}


def tries(act: str) -> Callable[[Attempt], Attempt]:
    def register(attempt: Attempt) -> Attempt:
        ATTEMPTS[act] = attempt
        return attempt

    return register


def opened(descriptor: int) -> None:
    """It came through: leave nothing behind."""
    os.close(descriptor)


def victim_file(arguments: Arguments, name: str = SECRET) -> str:
    return os.path.join(arguments["directory"], name)


# ---------------------------------------------------------------- descriptors, environment


@tries("hold other descriptors than its own")
def _(arguments: Arguments) -> str | None:
    held = []
    for number in range(FIRST_FOREIGN_DESCRIPTOR, HIGHEST_DESCRIPTOR):
        asked = select.poll()  # the one question about a descriptor that is still allowed
        asked.register(number)
        if (number, select.POLLNVAL) not in asked.poll(0):
            held.append(number)
    if not held:
        raise Refused("it holds none")
    return f"it holds {', '.join(map(str, held[:10]))}"


@tries("copy a descriptor")
def _(arguments: Arguments) -> None:
    opened(os.dup(0))


@tries("change who owns a descriptor")
def _(arguments: Arguments) -> None:
    fcntl.fcntl(0, fcntl.F_SETOWN, arguments["target"])
    fcntl.fcntl(0, fcntl.F_SETOWN, 0)


@tries("pass a descriptor on")
def _(arguments: Arguments) -> None:
    call("sendmsg", JOB_FD, ctypes.create_string_buffer(56), socket.MSG_DONTWAIT)  # an empty message


@tries("receive a descriptor")
def _(arguments: Arguments) -> None:
    call("recvmsg", JOB_FD, ctypes.create_string_buffer(56), socket.MSG_DONTWAIT | socket.MSG_PEEK)


@tries("see other variables than those allowed")
def _(arguments: Arguments) -> str:
    foreign = sorted(set(os.environ) - set(arguments["allowed_variables"]))
    if not foreign:
        raise Refused("it sees none")
    return f"it sees {', '.join(foreign[:10])}"


# ---------------------------------------------------------------- network


@tries("connect by TCP")
def _(arguments: Arguments) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.connect(("127.0.0.1", arguments["tcp"]))


@tries("listen by TCP")
def _(arguments: Arguments) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as made:
        made.bind(("127.0.0.1", 0))
        made.listen()


@tries("send by UDP")
def _(arguments: Arguments) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as made:
        made.sendto(b"probe", ("127.0.0.1", arguments["udp"]))


@tries("connect to a unix socket by its path")
def _(arguments: Arguments) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.connect(arguments["unix"])


@tries("connect to a unix socket by its abstract name")
def _(arguments: Arguments) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as made:
        made.connect("\0" + arguments["abstract"])


@tries("make a netlink socket")
def _(arguments: Arguments) -> None:
    socket.socket(socket.AF_NETLINK, socket.SOCK_RAW).close()


@tries("make a pair of sockets")
def _(arguments: Arguments) -> None:
    for made in socket.socketpair():
        made.close()


# ---------------------------------------------------------------- read


@tries("open a file by open")
def _(arguments: Arguments) -> None:
    opened(call("open", victim_file(arguments).encode(), os.O_RDONLY))


@tries("open a file by openat")
def _(arguments: Arguments) -> None:
    opened(call("openat", AT_FDCWD, victim_file(arguments).encode(), os.O_RDONLY))


@tries("open a file by openat2")
def _(arguments: Arguments) -> None:
    how = struct.pack("=QQQ", os.O_RDONLY, 0, 0)
    opened(call("openat2", AT_FDCWD, victim_file(arguments).encode(), how, len(how)))


@tries("open /etc/passwd")
def _(arguments: Arguments) -> None:
    opened(os.open("/etc/passwd", os.O_RDONLY))


@tries("open the environment of its parent")
def _(arguments: Arguments) -> None:
    opened(os.open(f"/proc/{os.getppid()}/environ", os.O_RDONLY))


@tries("open the memory of its parent")
def _(arguments: Arguments) -> None:
    opened(os.open(f"/proc/{os.getppid()}/mem", os.O_RDONLY))


@tries("list a directory")
def _(arguments: Arguments) -> None:
    os.listdir(arguments["directory"])


@tries("stat a file")
def _(arguments: Arguments) -> None:
    os.stat(victim_file(arguments))


@tries("stat a file by statx")
def _(arguments: Arguments) -> None:
    call("statx", AT_FDCWD, victim_file(arguments).encode(), 0, 0x7FF, ctypes.create_string_buffer(256))


@tries("ask for access to a file")
def _(arguments: Arguments) -> None:
    call("faccessat", AT_FDCWD, victim_file(arguments).encode(), os.R_OK)


@tries("read a symbolic link")
def _(arguments: Arguments) -> None:
    os.readlink(victim_file(arguments, LINK))


@tries("change its directory")
def _(arguments: Arguments) -> None:
    os.chdir(arguments["directory"])


@tries("make a handle of a file")
def _(arguments: Arguments) -> None:
    handle = ctypes.create_string_buffer(struct.pack("=Ii", 128, 0), 136)
    call("name_to_handle_at", AT_FDCWD, victim_file(arguments).encode(), handle, ctypes.create_string_buffer(4), 0)


@tries("watch a directory")
def _(arguments: Arguments) -> None:
    opened(call("inotify_init1", os.O_CLOEXEC))


# ---------------------------------------------------------------- write


@tries("create a file")
def _(arguments: Arguments) -> None:
    opened(os.open(victim_file(arguments, "created"), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))


@tries("append to a file")
def _(arguments: Arguments) -> None:
    descriptor = os.open(victim_file(arguments, "appended"), os.O_WRONLY | os.O_APPEND)
    try:
        os.write(descriptor, b"probe")
    except OSError as error:  # by the limit of written bytes: but it stood open
        raise OSError(errno.EFBIG, "opened for writing") from error
    finally:
        os.close(descriptor)


@tries("truncate a file")
def _(arguments: Arguments) -> None:
    os.truncate(victim_file(arguments, "truncated"), 0)


@tries("remove a file")
def _(arguments: Arguments) -> None:
    os.unlink(victim_file(arguments, "removed"))


@tries("rename a file")
def _(arguments: Arguments) -> None:
    os.rename(victim_file(arguments, "renamed"), victim_file(arguments, "new name"))


@tries("change the mode of a file")
def _(arguments: Arguments) -> None:
    os.chmod(victim_file(arguments, "mode"), 0o666)


@tries("change the times of a file")
def _(arguments: Arguments) -> None:
    os.utime(victim_file(arguments, "times"), (0, 0))


@tries("make a directory")
def _(arguments: Arguments) -> None:
    os.mkdir(victim_file(arguments, "directory"))


@tries("make a symbolic link")
def _(arguments: Arguments) -> None:
    os.symlink("/etc/passwd", victim_file(arguments, "symbolic"))


@tries("make a hard link")
def _(arguments: Arguments) -> None:
    os.link(victim_file(arguments), victim_file(arguments, "hard"))


@tries("make a named pipe")
def _(arguments: Arguments) -> None:
    os.mkfifo(victim_file(arguments, "pipe"))


# ---------------------------------------------------------------- exec: with bad arguments, for a success would end it


@tries("execute a program by execve")
def _(arguments: Arguments) -> None:
    call("execve", b"/bin/true", NOWHERE, 0)


@tries("execute a program by execveat")
def _(arguments: Arguments) -> None:
    call("execveat", AT_FDCWD, b"/bin/true", NOWHERE, 0, 0)


@tries("execute a program by posix_spawn")
def _(arguments: Arguments) -> None:
    os.waitpid(os.posix_spawn("/bin/true", ["true"], {}), 0)


@tries("fork")
def _(arguments: Arguments) -> None:
    _buried(os.fork())


@tries("fork by clone")
def _(arguments: Arguments) -> None:
    _buried(call("clone", int(signal.SIGCHLD), 0, 0, 0, 0))


@tries("fork by clone3")
def _(arguments: Arguments) -> None:
    wanted = struct.pack("=8Q", 0, 0, 0, 0, signal.SIGCHLD, 0, 0, 0)
    _buried(call("clone3", wanted, len(wanted)))


def _buried(pid: int) -> None:
    if pid == 0:
        os._exit(0)
    os.waitpid(pid, 0)


# ---------------------------------------------------------------- processes


@tries("open a process")
def _(arguments: Arguments) -> None:
    opened(call("pidfd_open", arguments["process"], 0))


@tries("take a descriptor of a process")
def _(arguments: Arguments) -> None:
    descriptor = call("pidfd_open", arguments["process"], 0)
    try:
        opened(call("pidfd_getfd", descriptor, 0, 0))
    finally:
        os.close(descriptor)


@tries("trace a process")
def _(arguments: Arguments) -> None:
    call("ptrace", 0x4206, arguments["process"], 0, 0)  # PTRACE_SEIZE: does not stop it, ends with the worker


@tries("read the memory of a process")
def _(arguments: Arguments) -> None:
    call("process_vm_readv", arguments["process"], *_one_byte(arguments), 0)


@tries("write the memory of a process")
def _(arguments: Arguments) -> None:
    call("process_vm_writev", arguments["process"], *_one_byte(arguments), 0)  # a zero over a zero


def _one_byte(arguments: Arguments) -> tuple[Any, ...]:
    """The vectors of process_vm_*: a byte here, and one in the victim that nobody uses."""
    _one_byte.here = here = ctypes.create_string_buffer(1)  # type: ignore[attr-defined]  # to outlive the call
    ours, theirs = struct.pack("=QQ", ctypes.addressof(here), 1), struct.pack("=QQ", arguments["address"], 1)
    return ours, 1, theirs, 1


@tries("limit a process")
def _(arguments: Arguments) -> None:
    call("prlimit64", arguments["process"], int(resource.RLIMIT_CORE), struct.pack("=QQ", 0, 0), None)


@tries("slow a process down")
def _(arguments: Arguments) -> None:
    os.setpriority(os.PRIO_PROCESS, arguments["process"], 19)


@tries("choose the processors of a process")
def _(arguments: Arguments) -> None:
    os.sched_setaffinity(arguments["process"], os.sched_getaffinity(0))


@tries("choose the scheduler of a process")
def _(arguments: Arguments) -> None:
    call("sched_setscheduler", arguments["process"], int(os.SCHED_BATCH), struct.pack("=i", 0))


@tries("compare with a process")
def _(arguments: Arguments) -> None:
    call("kcmp", os.getpid(), arguments["process"], 1, 0, 0)  # KCMP_VM


@tries("read the clock of a process")
def _(arguments: Arguments) -> None:
    call("clock_gettime", ~arguments["process"] << 3 | 2, ctypes.create_string_buffer(16))  # CPUCLOCK_SCHED


@tries("open the process at the other end")
def _(arguments: Arguments) -> None:
    descriptor, size = ctypes.c_int(), ctypes.c_int(4)
    call("getsockopt", JOB_FD, socket.SOL_SOCKET, 77, ctypes.byref(descriptor), ctypes.byref(size))  # SO_PEERPIDFD
    opened(descriptor.value)


# ---------------------------------------------------------------- kernel


@tries("set up io_uring")
def _(arguments: Arguments) -> None:
    opened(call("io_uring_setup", 8, ctypes.create_string_buffer(120)))


@tries("load a BPF map")
def _(arguments: Arguments) -> None:
    array = struct.pack("=IIII", 2, 4, 4, 1).ljust(72, b"\0")  # BPF_MAP_TYPE_ARRAY, key, value, entries
    opened(call("bpf", 0, array, len(array)))


@tries("count performance events")
def _(arguments: Arguments) -> None:
    clock = struct.pack("=IIQQQQQ", 1, 64, 0, 0, 0, 0, 1 | 1 << 5 | 1 << 6).ljust(64, b"\0")  # software, user only
    opened(call("perf_event_open", clock, 0, -1, -1, 0))


@tries("handle page faults")
def _(arguments: Arguments) -> None:
    opened(call("userfaultfd", os.O_CLOEXEC | 1))  # of user code only


@tries("use the keyring")
def _(arguments: Arguments) -> None:
    call("keyctl", 1, None, 0, 0, 0)  # KEYCTL_JOIN_SESSION_KEYRING


@tries("mount a file system")
def _(arguments: Arguments) -> None:
    call("mount", b"none", arguments["directory"].encode(), b"no such file system", 0, None)


@tries("enter a namespace")
def _(arguments: Arguments) -> None:
    call("setns", 0, 0)


@tries("make a memory file")
def _(arguments: Arguments) -> None:
    opened(call("memfd_create", b"probe", 0))


IPC_PRIVATE, IPC_CREAT, IPC_RMID = 0, 0o1000, 0


@tries("make shared memory")
def _(arguments: Arguments) -> None:
    call("shmctl", call("shmget", IPC_PRIVATE, 4096, IPC_CREAT | 0o600), IPC_RMID, None)


@tries("make semaphores")
def _(arguments: Arguments) -> None:
    call("semctl", call("semget", IPC_PRIVATE, 1, IPC_CREAT | 0o600), 0, IPC_RMID, 0)


@tries("make a message queue")
def _(arguments: Arguments) -> None:
    call("msgctl", call("msgget", IPC_PRIVATE, IPC_CREAT | 0o600), IPC_RMID, None)


@tries("open a POSIX message queue")
def _(arguments: Arguments) -> None:
    name = arguments["abstract"].encode()
    opened(call("mq_open", name, os.O_CREAT | os.O_RDWR, 0o600, None))
    call("mq_unlink", name)


@tries("change its personality")
def _(arguments: Arguments) -> None:
    call("personality", 0xFFFFFFFF)  # asks which it is


@tries("change its user")
def _(arguments: Arguments) -> None:
    call("setuid", 0)


@tries("change its root")
def _(arguments: Arguments) -> None:
    call("chroot", b"/")


@tries("type into the terminal")
def _(arguments: Arguments) -> None:
    call("ioctl", 0, 0x5412, b" ")  # TIOCSTI


@tries("read the log of the kernel")
def _(arguments: Arguments) -> None:
    call("syslog", 10, None, 0)  # SYSLOG_ACTION_SIZE_BUFFER


@tries("make a timer")
def _(arguments: Arguments) -> None:
    timer = ctypes.c_int()
    call("timer_create", 1, None, ctypes.byref(timer))  # CLOCK_MONOTONIC
    call("timer_delete", timer.value)


@tries("make a pipe")
def _(arguments: Arguments) -> None:
    for descriptor in os.pipe():
        os.close(descriptor)


@tries("change its process attributes")
def _(arguments: Arguments) -> None:
    call("prctl", 2, ctypes.byref(ctypes.c_int()), 0, 0, 0)  # PR_GET_PDEATHSIG


@tries("add a landlock rule")
def _(arguments: Arguments) -> None:
    call("landlock_create_ruleset", None, 0, 1)  # asks for the version


@tries("add a system call filter")
def _(arguments: Arguments) -> None:
    call("seccomp", 2, 0, ctypes.byref(ctypes.c_uint32(0x7FFF0000)))  # asks whether there is SECCOMP_RET_ALLOW


@tries("leave its namespace")
def _(arguments: Arguments) -> None:
    call("unshare", 0x10000000)  # CLONE_NEWUSER


# ---------------------------------------------------------------- limits


@tries("raise the memory limit")
def _(arguments: Arguments) -> str | None:
    return _raised(resource.RLIMIT_AS, 1 << 30)


@tries("raise the CPU limit")
def _(arguments: Arguments) -> str | None:
    return _raised(resource.RLIMIT_CPU, 60)


@tries("raise the limit of written bytes")
def _(arguments: Arguments) -> str | None:
    return _raised(resource.RLIMIT_FSIZE, 1 << 20)


def _raised(limit: int, by: int) -> str | None:
    _, hard = resource.getrlimit(limit)
    if hard == resource.RLIM_INFINITY:
        return "there is no limit"
    call("prlimit64", 0, int(limit), struct.pack("=QQ", hard + by, hard + by), None)
    return None


@tries("handle the signal of a timer")
def _(arguments: Arguments) -> None:
    call("rt_sigaction", int(signal.SIGALRM), None, ctypes.create_string_buffer(152), 8)  # asks who handles it


@tries("start a thread")
def _(arguments: Arguments) -> None:
    thread = threading.Thread(target=int)
    try:
        thread.start()
    except RuntimeError as error:
        raise Refused(str(error)) from None
    thread.join()


# ---------------------------------------------------------------- signals


@tries("signal its parent")
def _(arguments: Arguments) -> None:
    os.kill(os.getppid(), 0)


@tries("signal every process")
def _(arguments: Arguments) -> None:
    os.kill(-1, 0)


@tries("signal a process by a descriptor")
def _(arguments: Arguments) -> None:
    descriptor = call("pidfd_open", arguments["target"], 0)
    try:
        call("pidfd_send_signal", descriptor, int(signal.SIGTERM), None, 0)
    finally:
        os.close(descriptor)


@tries("signal a process by kill")
def _(arguments: Arguments) -> None:
    os.kill(arguments["target"], signal.SIGTERM)


@tries("signal a process by tkill")
def _(arguments: Arguments) -> None:
    call("tkill", arguments["target"], int(signal.SIGTERM))


@tries("signal a process by tgkill")
def _(arguments: Arguments) -> None:
    call("tgkill", arguments["target"], arguments["target"], int(signal.SIGTERM))


@tries("signal a process by rt_sigqueueinfo")
def _(arguments: Arguments) -> None:
    call("rt_sigqueueinfo", arguments["target"], int(signal.SIGTERM), _queued())


@tries("signal a process by rt_tgsigqueueinfo")
def _(arguments: Arguments) -> None:
    call("rt_tgsigqueueinfo", arguments["target"], arguments["target"], int(signal.SIGTERM), _queued())


def _queued() -> bytes:
    return struct.pack("=iii", signal.SIGTERM, 0, -1).ljust(128, b"\0")  # siginfo_t with SI_QUEUE
