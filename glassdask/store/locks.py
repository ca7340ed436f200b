"""One writer a group: a lock that the system gives back when its owner dies."""

from __future__ import annotations

import fcntl
import os
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from glassdask.errors import BusyStoreError
from glassdask.store import layout
from glassdask.store.groups import create_parents

LOCK = ".glassdask-lock-"
PATIENCE = 3.0  # seconds: another command that finds all done, or one that is being killed, is gone by then


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing the group while the block runs; the group need not exist yet.

    The lock is a file beside the group, held by ``flock``: it ends with the process, however that ends. On a file
    system without such locks (or where the file cannot be made) there is none; then writers of the same parameters do
    no harm to each other, because chunks are put in place at once and have the same bytes.

    Raises
    ------
    BusyStoreError
        Another process is writing the group.
    StoreError
        There cannot be a group in this place.
    """
    group = layout.checked_path(path)
    file = group.with_name(f"{LOCK}{group.name}")
    descriptor = _acquire(group, file)
    try:
        yield
    finally:
        if descriptor is not None:
            file.unlink(missing_ok=True)
            os.close(descriptor)


def _acquire(group: Path, file: Path) -> int | None:
    create_parents(group)
    end = time.monotonic() + PATIENCE
    while True:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError:  # whoever may not write here will be told so when the group is written
            return None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            owner = os.read(descriptor, 200).decode(errors="replace").strip() or "another process"
            os.close(descriptor)
            if time.monotonic() > end:
                raise BusyStoreError(
                    f"{group}: is being written by {owner}: wait until it has ended, then run the same command again"
                ) from None
            time.sleep(0.1)
            continue
        except OSError:
            os.close(descriptor)
            return None
        if _is_open(file, descriptor):
            break
        os.close(descriptor)  # its last owner has just removed it
    now = datetime.now(UTC).isoformat(timespec="seconds")
    try:
        os.truncate(descriptor, 0)
        os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()} since {now}\n".encode())
    except OSError:  # a full disk: the lock holds without a name
        pass
    return descriptor


def _is_open(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(file), os.fstat(descriptor))
    except FileNotFoundError:
        return False
