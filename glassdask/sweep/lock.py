"""Who runs a sweep: one lock file for each run, so that no two runs work on the same states.

``.sweep/locks/all.json`` belongs to a run of all states, ``3-of-100.json`` to one of a share. A lock holds the host,
process and time of its run, and is written again every few seconds: its modification time is the heartbeat. It is
taken by creating a file that must not exist, which also a network file system does at once. A lock whose process has
ended on this machine, or whose heartbeat is further than `STALE_SECONDS` from now and does not come while one looks,
was left by a killed run and is removed. Only the newcomer that holds a second file, the claim, may do that: otherwise
one that has seen the dead lock could remove the lock that a faster one has put in its place.
"""

from __future__ import annotations

import getpass
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from glassdask.declarations import Declaration, make
from glassdask.errors import GlassdaskError, StoreError
from glassdask.files import create, writing
from glassdask.sweep import records

LOCKS = "locks"
BEAT_SECONDS = 10.0
STALE_SECONDS = 90.0
CLAIM_SECONDS = 5.0
FREE, LIVING, STALE = "free", "living", "stale"


@dataclass(frozen=True, kw_only=True)
class Holder(Declaration):
    """What a lock says of the run that holds it; `born` tells its process from a later one with the same number."""

    share: str
    token: str
    host: str
    machine: str
    pid: int
    born: str | None
    user: str
    started: str


@contextmanager
def locked(store: str | os.PathLike[str], share: tuple[int, int] | None = None) -> Iterator[Callable[[], None]]:
    """Hold the lock of a run; gives a function that raises `StoreError` when the lock was lost.

    Raises
    ------
    StoreError
        Somebody runs the same states: says who, where and since when.
    """
    folder = Path(store) / records.FOLDER / LOCKS
    file = folder / f"{_name(share)}.json"
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    content = {
        "share": _name(share),
        "token": uuid.uuid4().hex,
        "host": socket.gethostname(),
        "machine": _machine(),
        "pid": os.getpid(),
        "born": _born(os.getpid()),
        "user": _user(),
        "started": records.now(),
    }
    _take(file, content)
    ended = threading.Event()
    keeper = threading.Thread(target=_keep, args=(file, content, ended), daemon=True)
    try:
        # after our own file is there, so that of two that begin at once at least one sees the other
        for other in sorted(folder.glob("*.json")):
            if other != file and _conflict(other.stem, file.stem):
                _refuse_or_clear(other)
        keeper.start()

        def check() -> None:
            if _holder(file).get("token") != content["token"]:
                raise StoreError(f"{store}: another run has taken over this sweep (was this process stopped?): ended")

        yield check
    finally:
        ended.set()
        if keeper.is_alive():
            keeper.join()
        if _holder(file).get("token") == content["token"]:
            file.unlink(missing_ok=True)


def holders(store: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Share, host, pid, user and start of every run that is alive."""
    folder = Path(store) / records.FOLDER / LOCKS
    found = [_look(file, writable=False) for file in sorted(folder.glob("*.json"))]
    names = ("share", "host", "pid", "user", "started")
    return [{name: holder[name] for name in names} for state, holder in found if state == LIVING and holder]


def _name(share: tuple[int, int] | None) -> str:
    return "all" if share is None else f"{share[0]}-of-{share[1]}"


def _conflict(one: str, other: str) -> bool:
    """Whether two runs may have states in common: all but different shares of the same division do."""
    return one == other or "all" in (one, other) or one.split("-")[-1] != other.split("-")[-1]


def _take(file: Path, content: dict[str, Any]) -> None:
    """Create the lock file, after a stale one was removed."""
    for _ in range(3):
        if create(file, json.dumps(content)):
            return
        _refuse_or_clear(file)
    raise StoreError(f"{file}: several runs of this sweep begin at the same time: run one of them again")


def _refuse_or_clear(file: Path) -> None:
    """`StoreError` that says who holds a living lock; a stale one is removed."""
    if _beats(file):
        raise _refused(file)
    claim = file.with_suffix(".claim")
    while _stale_or_refused(file):
        if create(claim, ""):
            try:
                if _stale_or_refused(file):  # a faster one may have removed it, and even have put its own in place
                    file.unlink()
            finally:
                claim.unlink(missing_ok=True)
            return
        if (_age(claim) or 0.0) > CLAIM_SECONDS:  # its owner was killed between the lines above
            claim.unlink(missing_ok=True)
        time.sleep(0.05)


def _stale_or_refused(file: Path) -> bool:
    """Whether there is a stale lock; False where there is none, `StoreError` where it is a living one."""
    state, _ = _look(file)
    if state != LIVING:
        return state == STALE
    raise _refused(file)


def _refused(file: Path) -> StoreError:
    """The error that says who runs the sweep."""
    holder = _holder(file)
    who = "{user} on {host} (process {pid}) since {started}".format(**holder) if holder else "somebody"
    return StoreError(
        f"{file.parents[2]}: this sweep is run by {who}: wait for it, watch it with glassdask sweep status, or end "
        f"that process (after kill -9 elsewhere its lock goes stale in {STALE_SECONDS:.0f} s)"
    )


def _beats(file: Path) -> bool:
    """Whether a lock that looks stale is touched all the same: where a clock was set, its time tells nothing."""
    state, holder = _look(file)
    if state != STALE or holder.get("machine") == _machine():
        return False
    before, end = _touched(file), time.monotonic() + 2 * BEAT_SECONDS
    while time.monotonic() < end and _touched(file) == before:
        time.sleep(BEAT_SECONDS / 10)
    return before is not None and _touched(file) not in (before, None)


def _touched(file: Path) -> int | None:
    """When a file was touched, by the clock that it has."""
    with suppress(OSError):
        return file.stat().st_mtime_ns
    return None


def _holder(file: Path) -> dict[str, Any]:
    """What is written in a lock; nothing where it is damaged, or not written yet."""
    with suppress(GlassdaskError):
        return asdict(make(Holder, records.read(file) or {}, str(file)))
    return {}


def _look(file: Path, writable: bool = True) -> tuple[str, dict[str, Any]]:
    """Whether a lock is free, living or stale, and what is written in it: nothing if it is just being created."""
    holder = _holder(file)
    if holder and holder["machine"] == _machine():
        return (LIVING if _born(holder["pid"]) == holder["born"] else STALE), holder
    age = _age(file, writable)
    if age is None:
        return FREE, {}
    if not holder and _torn(file):
        # whoever has written it died with the machine, or it beats all the same; unless it came between the two looks
        return _look(file, writable) if _holder(file) else (STALE, {})
    return (LIVING if abs(age) <= STALE_SECONDS else STALE), holder


def _torn(file: Path) -> bool:
    """Whether something is written in a lock that is none; an empty one may be just being created."""
    with suppress(OSError):
        return file.stat().st_size > 0
    return False


def _age(file: Path, writable: bool = True) -> float | None:
    """Seconds since a file was touched; None if there is none."""
    try:
        beat = file.stat().st_mtime
    except FileNotFoundError:
        return None
    return _now_there(file.parent, writable) - beat


def _now_there(folder: Path, writable: bool) -> float:
    """The time by the clock of the file system, which may be another machine's."""
    if not writable:
        return time.time()
    probe = folder / f"clock.{uuid.uuid4().hex}.partial"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with suppress(OSError):
            probe.unlink(missing_ok=True)


def _keep(file: Path, content: dict[str, Any], ended: threading.Event) -> None:
    """Touch the lock now and then, as long as it is ours."""
    while not ended.wait(BEAT_SECONDS):
        with suppress(OSError, StoreError):
            if _holder(file).get("token") == content["token"]:
                os.utime(file)


def _machine() -> str:
    """What tells whether a process number means a process that can be seen from here."""
    with suppress(OSError):
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()} {boot} {os.readlink('/proc/self/ns/pid')}"
    return socket.gethostname()


def _born(pid: int) -> str | None:
    """When a process was started, in its system's own count; None if there is none, or it is dead and not yet gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else fields[19]


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
