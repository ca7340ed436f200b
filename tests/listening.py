"""Which addresses processes listen on."""

from __future__ import annotations

import os
from typing import Any

import psutil


def listening(*pids: int) -> set[tuple[str, int]]:
    """(address, port) of every TCP socket on which the processes wait for connections."""
    sockets = [socket for pid in pids for socket in psutil.Process(pid).net_connections("inet")]
    return {(socket.laddr.ip, socket.laddr.port) for socket in sockets if socket.status == psutil.CONN_LISTEN}


def worker_processes(client: Any) -> list[int]:
    """The processes of a client's workers and of their nannies, which run on this machine."""
    found = client.run(lambda: (os.getpid(), os.getppid())).values()
    return sorted({pid for pair in found for pid in pair} - {os.getpid()})


def housekeeping(client):
    """What workers were told of how often they look at themselves."""

    def told():  # inside, because workers elsewhere cannot import the tests
        import dask

        names = ("distributed.admin.tick.interval", "distributed.worker.profile.interval")
        return tuple(dask.config.get(name) for name in names)

    return set(client.run(told).values())
