"""A command in a process of its own that is disturbed at one named point of its writing.

A point is a call that changes what is on the disk, of something below one folder: every rename, link, removal, new
folder, ``fsync`` and lock that the package and the libraries below it ask for. The functions of ``os`` and ``fcntl``
are replaced in the disturbed process, so that the package itself has no hook for it. Processes are forked from one that
has imported everything: a try takes a fraction of a second.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

CALLS = ("replace", "rename", "link", "unlink", "rmdir", "mkdir", "fsync", "truncate")
DEADLINE = 600.0  # seconds: a machine that others use, too, is no command that hangs


@dataclass(frozen=True)
class Fault:
    """What happens at the point with this number: kill before or after it, tear its file, a full disk, a stop."""

    kind: str
    number: int


@dataclass
class Ended:
    """How a process ended, what it said, and the names of the points that it went through."""

    code: int
    said: str
    points: list[str]

    @property
    def clear(self) -> bool:
        """Killed, done, or ended with lines that say why; a sweep has one for each state that failed."""
        said = [line for line in self.said.splitlines() if "glassdask: " in line or "Error: " in line]
        return self.code in (0, -signal.SIGKILL) or (self.code == 1 and bool(said) and "Traceback" not in self.said)


def run(
    arguments: list[object], root: Path, fault: Fault | None = None, prepare: Callable[[], None] | None = None
) -> Ended:
    """A ``glassdask`` command, disturbed at one point or not at all."""
    return wait(begin(arguments, root, fault, prepare), root)


def begin(
    arguments: list[object], root: Path, fault: Fault | None = None, prepare: Callable[[], None] | None = None
) -> int:
    """The process of a command that is disturbed, prepared by a call in it. Its output goes to files beside `root`."""
    pid = os.fork()
    if pid:
        return pid
    code = 70
    try:
        out = os.open(f"{root}.{os.getpid()}.out", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        os.dup2(out, 1)
        os.dup2(out, 2)
        log = os.open(f"{root}.{os.getpid()}.points", os.O_CREAT | os.O_WRONLY | os.O_APPEND)
        _disturb(root, fault, log)
        if prepare is not None:
            prepare()
        code = main_of([str(argument) for argument in arguments])
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code)


def wait(pid: int, root: Path) -> Ended:
    """Wait until a process has ended, or fail."""
    end = time.monotonic() + DEADLINE
    while not (status := os.waitpid(pid, os.WNOHANG))[0]:
        if time.monotonic() > end:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise AssertionError(f"hangs: {_taken(root, pid, 'out')}")
        time.sleep(0.005)
    points = [line.partition(" ")[2] for line in _taken(root, pid, "points").splitlines()]
    return Ended(os.waitstatus_to_exitcode(status[1]), _taken(root, pid, "out"), points)


def wait_until_stopped(pid: int) -> bool:
    """Wait until a process stands still; False where it has ended instead (it is to be waited for all the same)."""
    while True:
        state = re.search(r"\) (\w)", Path(f"/proc/{pid}/stat").read_text())
        assert state is not None
        if state[1] in "TZ":
            return state[1] == "T"
        time.sleep(0.005)


def _taken(root: Path, pid: int, what: str) -> str:
    file = Path(f"{root}.{pid}.{what}")
    text = file.read_text(errors="surrogateescape") if file.exists() else ""
    file.unlink(missing_ok=True)
    return text


def main_of(arguments: list[str]) -> int:
    """A ``glassdask`` command in this process: its exit code."""
    from glassdask import cli

    try:
        with mock.patch.object(sys, "argv", ["glassdask", *arguments]):
            cli.main()
    except SystemExit as ended:
        if isinstance(ended.code, str):
            print(ended.code, file=sys.stderr)
        return ended.code if isinstance(ended.code, int) else int(ended.code is not None)
    except BaseException:
        traceback.print_exc()
        return 1
    return 0


def _disturb(root: Path, fault: Fault | None, log: int) -> None:
    lock, count = threading.RLock(), 0

    def point(name: str, call, arguments, keywords):
        nonlocal count
        places = [
            _place(argument, keywords) for argument in arguments[: 2 if name in ("replace", "rename", "link") else 1]
        ]
        if not any(place.startswith(f"{root}/") for place in places):
            return call(*arguments, **keywords)
        with lock:
            number, count = count, count + 1
            target = re.sub(r"[0-9a-f]{32}", "*", places[-1].removeprefix(f"{root}/"))
            os.write(log, f"{number} {name} {target}\n".encode(errors="surrogateescape"))
            if fault is None or number != fault.number:
                return call(*arguments, **keywords)
            if fault.kind == "full":
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            if fault.kind == "stop":
                os.kill(os.getpid(), signal.SIGSTOP)
                return call(*arguments, **keywords)
            if fault.kind == "delay":
                time.sleep(0.5)
                return call(*arguments, **keywords)
            if fault.kind != "kill before":
                call(*arguments, **keywords)
            if fault.kind == "tear" and os.path.isfile(places[-1]):
                size = os.path.getsize(places[-1])
                with open(places[-1], "r+b") as file:  # what a loss of power leaves of data that were not synced
                    file.seek(size // 2)
                    file.write(bytes(size - size // 2))
            os.kill(os.getpid(), signal.SIGKILL)

    def replaced(name, call):
        return lambda *arguments, **keywords: point(name, call, arguments, keywords)

    for name in CALLS:
        setattr(os, name, replaced(name, getattr(os, name)))
    fcntl.flock = replaced("lock", fcntl.flock)


def _place(argument: object, keywords: dict) -> str:
    """The absolute path that an argument of such a call means."""
    if isinstance(argument, int):
        return os.readlink(f"/proc/self/fd/{argument}")
    path = os.fsdecode(argument)
    if keywords.get("dir_fd") is not None:
        return os.path.join(os.readlink(f"/proc/self/fd/{keywords['dir_fd']}"), path)
    return os.path.abspath(path)
