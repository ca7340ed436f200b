"""One writer a group: a lock that the system gives back when its owner dies."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from glassdask import files
from glassdask.store import layout
from glassdask.store.groups import create_parents

LOCK = ".glassdask-lock-"
PATIENCE = 3.0  # seconds: another command that finds all done, or one that is being killed, is gone by then


@contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from writing the group while the block runs; the group need not exist yet.

    The lock is a file beside the group, or in it where nothing can be made beside it (see `files.locked`). Where there
    can be none, writers of the same parameters do no harm to each other, because chunks are put in place at once and
    have the same bytes.

    Raises
    ------
    BusyStoreError
        Another process is writing the group.
    StoreError
        There cannot be a group in this place.
    """
    group = layout.checked_path(path)
    files.check_links(group)
    file = group.with_name(f"{LOCK}{group.name}")
    create_parents(group)
    with suppress(OSError):  # whoever may not write here will be told so when the group is written
        file.parent.mkdir(parents=True, exist_ok=True)
    if group.is_dir() and not os.access(group.parent, os.W_OK):  # where it cannot be overwritten either
        file = group / file.name
    with files.locked(file, group, PATIENCE):
        yield
