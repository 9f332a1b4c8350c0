"""A process of its own for what cannot be undone: `python jail_script.py WHAT USER [LAYERS]`, answers as JSON."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import resource
import sys
import time
from collections.abc import Callable
from typing import Any

from marlsmith.marl.jail import landlock, lockdown, probes, seccomp, selftest
from marlsmith.marl.jail.syscalls import call

NOBODY = 65534
GIB = 1 << 30
MOST_PIDS = 1 << 22  # no process has this number


def become(user: str) -> None:
    if user == "nobody":
        os.setgroups([])
        os.setgid(NOBODY)
        os.setuid(NOBODY)


def without(layers: str) -> None:
    """Leave out the layers that are not to be tried."""
    if layers in ("seccomp", "none", "accelerator without landlock"):
        landlock.restrict = lambda accelerator: 0  # type: ignore[assignment]
    if layers in ("landlock", "none"):

        def nothing(machine: str, accelerator: bool) -> None:
            raise OSError

        seccomp.install = nothing


def in_a_child(work: Callable[[], Any]) -> Any:
    """What `work` returns in a forked child that holds what a worker holds: /dev/null, and a pipe as its 5."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(writing, 5)
        null = os.open(os.devnull, os.O_RDWR)
        os.dup2(null, 0)
        for number in (3, 4):
            os.dup2(null, number)
        os.closerange(6, 4096)
        answer = json.dumps(work()).encode()
        while answer:
            answer = answer[os.write(5, answer) :]
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(pid, 0)
    assert status == 0, f"the child ended with {status}"
    return json.loads(answer)


def examine(layers: str) -> Any:
    """The report of the jail's self-test, with these layers alone."""

    def locked_down(arguments: dict[str, Any]) -> dict[str, Any]:
        def work() -> Any:
            resource.setrlimit(resource.RLIMIT_AS, (4 * GIB, 4 * GIB))
            resource.setrlimit(resource.RLIMIT_CPU, (50, 50))
            resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
            without(layers)
            if layers != "none":
                lockdown.lock_down(accelerator=layers.startswith("accelerator"))
            return probes.probe(arguments, print)[0]

        answer: dict[str, Any] = in_a_child(work)
        return answer

    os.environ.clear()
    return selftest.examine(locked_down, unsafe=False).model_dump(mode="json")


def open_acts(layers: str) -> Any:
    def work() -> Any:
        without(layers)
        parent = os.getppid()
        start = time.perf_counter()
        in_place = lockdown.lock_down()
        locked = time.perf_counter()
        came_through = lockdown.open_acts(parent)
        checked = time.perf_counter()
        return {
            "layers": in_place,
            "open": came_through,
            "stranger": lockdown.open_acts(MOST_PIDS),
            "milliseconds": [1e3 * (locked - start), 1e3 * (checked - locked)],
        }

    return in_a_child(work)


def files(layers: str) -> Any:
    """Which paths can be opened under landlock alone, and which directories listed."""

    def opens(path: str) -> bool:
        try:
            os.close(os.open(path, os.O_RDONLY))
        except PermissionError:
            return False
        return True

    def work() -> Any:
        paths = ["/", "/usr", "/usr/lib", "/etc", "/etc/passwd", "/tmp", "/home", "/root", "/proc/self/status"]
        paths += ["/proc/cpuinfo", "/sys/devices/system/cpu", "/dev/null", os.getcwd(), __file__, sys.executable]
        existing = [path for path in paths if os.path.exists(path)]
        without("landlock")
        lockdown.lock_down(accelerator=layers == "accelerator")
        return {path: opens(path) for path in existing}

    return in_a_child(work)


def privileges(layers: str) -> Any:
    """What /proc says of a process with every layer but the filter, and its parent-death signal."""

    def work() -> Any:
        without(layers)
        status = os.open("/proc/self/status", os.O_RDONLY)  # a descriptor opened before stays usable
        call("prctl", 1, 9, 0, 0, 0)
        lockdown.lock_down()
        death = ctypes.c_int()
        call("prctl", 2, ctypes.byref(death), 0, 0, 0)
        lines = os.read(status, 1 << 16).decode().splitlines()
        return {"death": death.value, **dict(line.split(":\t", 1) for line in lines if ":\t" in line)}

    return in_a_child(work)


def train(layers: str) -> Any:
    """Digests of what trainings leave behind, outside the jail and inside."""
    import torch

    from marlsmith.marl import warm_up
    from marlsmith.marl.config import TrainConfig
    from marlsmith.marl.tasks import make_task
    from marlsmith.marl.trainer import Trainer

    torch.set_num_threads(1)
    warm_up.warm_up({}, print)
    small: dict[str, Any] = {"steps": 60, "environments": 4, "rollout": 10, "hidden": 16, "batch": 8, "updates": 2}
    configs = [
        TrainConfig(algorithm="mappo", **small),
        TrainConfig(algorithm="mappo", network="gru", **small),
        TrainConfig(algorithm="vdn", network="gru", sequence=4, **small),
        TrainConfig(algorithm="qmix", **small),
    ]

    def digest(config: TrainConfig) -> str:
        trainer = Trainer(make_task("mpe/simple_spread"), None, config, (1, 2))
        while not trainer.finished:
            trainer.advance()
        episodes = trainer.evaluate(3, 7)
        tensors = [*(tensor for _, tensor in sorted(trainer.tensors())), episodes.reward]
        bits = b"".join(tensor.contiguous().view(torch.uint8).numpy().tobytes() for tensor in tensors if tensor.dim())
        return hashlib.sha256(bits).hexdigest()

    def numbers() -> str:
        import numpy

        generator = torch.Generator().manual_seed(0)
        square = torch.randn(3, 5, 5, generator=generator)
        wide = torch.randn(64, 5, generator=generator)
        made = [torch.linalg.inv(square), *torch.linalg.svd(square), *torch.linalg.qr(square), torch.linalg.det(square)]
        made += [torch.linalg.solve(square, square), torch.cdist(wide, wide), torch.einsum("ij,kj->ik", wide, wide)]
        made += [torch.linalg.eigvalsh(square @ square.mT), wide.sort(0).values, torch.logsumexp(wide, 1)]
        cell = torch.nn.GRU(5, 7)
        with torch.no_grad():
            for number, parameter in enumerate(cell.parameters()):
                parameter.copy_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(number)))
        cell(wide[:, None])[0].square().sum().backward()
        made += [parameter.grad for parameter in cell.parameters() if parameter.grad is not None]
        arrays = [numpy.linalg.inv(square[0].numpy()), *numpy.linalg.svd(square[0].numpy()), numpy.sort(wide.numpy())]
        bits = b"".join(one.contiguous().numpy().tobytes() for one in made) + b"".join(one.tobytes() for one in arrays)
        return hashlib.sha256(bits).hexdigest()

    def work() -> Any:
        return [torch.backends.cpu.get_cpu_capability(), numbers(), *map(digest, configs)]

    def jailed() -> Any:
        assert "seccomp" in lockdown.lock_down()
        return work()

    return {"outside": in_a_child(work), "inside": in_a_child(jailed)}


def crash(layers: str) -> Any:
    """How a process ends in the jail, and what its crash handler wrote."""
    import faulthandler
    import signal

    def ended(death: Callable[[], Any]) -> Any:
        reading, writing = os.pipe()
        pid = os.fork()
        if pid == 0:
            faulthandler.enable(writing)
            faulthandler.register(signal.SIGXCPU, writing, chain=True)
            lockdown.lock_down()
            death()
            os._exit(0)
        os.close(writing)
        with os.fdopen(reading) as pipe:
            said = pipe.read()
        return [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), said.count("most recent call first")]

    return {
        "segfault": ended(lambda: ctypes.string_at(0)),
        "abort": ended(os.abort),
        "cpu": ended(lambda: signal.raise_signal(signal.SIGXCPU)),
    }


if __name__ == "__main__":
    what, user, layers = sys.argv[1:4]
    become(user)
    print(json.dumps(globals()[what](layers)))
