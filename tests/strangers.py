"""What another user of this machine may do to files, sockets and shared memory, tried as the user "nobody"."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

NOBODY = 65534
only_root = pytest.mark.skipif(os.getuid() != 0, reason="only root may become somebody else")

# Python is started by whoever asks, since it may lie where others cannot read, and then is somebody else for good.
PROGRAM = """
import asyncio, os, sys
from contextlib import suppress
from pathlib import Path
from distributed import Security
from distributed.comm import connect

async def joined(address, security):
    comm = await connect(address, timeout=10, **security.get_connection_args("client"))
    await comm.write({"op": "identity", "reply": True})
    return await comm.read()

own = Security.temporary()
os.setgroups([])
os.setgid(65534)
os.setuid(65534)

def tried(name, call, *arguments):
    try:
        call(*arguments)
    except Exception as error:
        return print("refused", name, *arguments, type(error).__name__)
    print("may", name, *arguments)

def reach(address):
    asyncio.run(joined(address, own))

def reach_without(address):
    asyncio.run(joined("tcp" + address.removeprefix("tls"), Security()))

def read(path):
    os.close(os.open(path, os.O_RDONLY))

def write(path):
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))

def add(folder):
    os.close(os.open(os.path.join(folder, "of-a-stranger"), os.O_CREAT | os.O_WRONLY))

def rename(path):
    os.rename(path, path + "-by-a-stranger")

def listed(place):
    yield place
    with suppress(OSError):
        yield from Path(place).rglob("*")

def theirs(path):
    with suppress(OSError):
        return os.lstat(path).st_uid == 65534
    return False  # it cannot even be looked at

for line in sys.stdin.read().splitlines():
    what, place = line.split(" ", 1)
    if what == "reach":
        tried("reach", reach, place)
        tried("reach without TLS", reach_without, place)
        continue
    for path in map(str, listed(place)):
        if not theirs(path):
            folder = os.path.isdir(path)
            if what == "secret":
                tried("list" if folder else "read", os.listdir if folder else read, path)
            tried("add to" if folder else "write", add if folder else write, path)
            tried("rename", rename, path)
"""


def tried(*what: str) -> list[str]:
    """The lines "refused ..." and "may ..." of attempts, each such as "reach tls://...", "files PATH", "secret PATH".

    Files and all below a folder are written, added to and renamed, secrets also read.
    """
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input="\n".join(what), capture_output=True, text=True, check=True
    )
    return done.stdout.splitlines()


def given_to_nobody(path: Path, mode: int = 0o777) -> Path:
    """A folder that is made where it does not exist, and then is that of another user."""
    path.mkdir(parents=True, exist_ok=True)
    os.chmod(path, mode)
    os.chown(path, NOBODY, NOBODY)
    return path


def somebody_was_first(way: str, folder: Path) -> None:
    """Put something in the place of a private folder, or the folder itself."""
    if way == "again":
        folder.mkdir(mode=0o700)
    elif way == "others may write":
        folder.mkdir()
        folder.chmod(0o777)
    elif way == "link":
        elsewhere = folder.parent.parent / f"{folder.parent.name} elsewhere"
        elsewhere.mkdir(mode=0o700)
        folder.symlink_to(elsewhere)
    elif way == "file":
        folder.touch()
