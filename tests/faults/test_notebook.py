"""The kernel of a notebook is restarted while workers work for it; the same cell again gives the same numbers."""

from __future__ import annotations

import ipaddress
import json
import sys

import numpy as np
import pytest

import glassdask as gd
from tests.faults.harness import ENVIRONMENT, ended, start_process

CELL = """
import json, os, psutil
from pathlib import Path
import glassdask as gd
from glassdask.cluster import connect
with connect("local", workers=2) as client:
    processes = [psutil.Process(), *psutil.Process().children(recursive=True)]
    sockets = [socket for process in processes for socket in process.net_connections("inet")]
    listening = sorted({socket.laddr.ip for socket in sockets if socket.status == psutil.CONN_LISTEN})
    told = json.dumps({"workers": list(client.run(os.getpid).values()), "listening": listening})
    Path("STORE.json").write_text(told)
    sbo = gd.SmoothedBondOrder(l_max=32, gamma=8, cutoffs=1.5)
    gd.save_descriptors(gd.describe(gd.open_trajectory("STORE"), [sbo]), "STORE")
"""

# a process of its own, because the client of a kernel leaves sockets to the garbage collector
RESTARTED = """
import json, sys
from pathlib import Path
import psutil
from jupyter_client.kernelspec import KernelSpec
from jupyter_client.manager import KernelManager
from tests.faults.harness import CHUNKS, n_chunks, wait_for

store, cell = Path(sys.argv[1]), sys.argv[2]
kernel = KernelManager()
command = [sys.executable, "-m", "ipykernel_launcher", "--log-level=40", "-f", "{connection_file}"]
kernel._kernel_spec = KernelSpec(argv=command, display_name="tests", language="python")
kernel.start_kernel()
client = kernel.client()
client.start_channels()
client.wait_for_ready(timeout=120)
client.execute(cell)
wait_for(lambda: n_chunks(store / "descriptors/sbo") >= 3)
workers = json.loads(Path(f"{store}.json").read_text())["workers"]
kernel.restart_kernel(now=True)
wait_for(lambda: not any(map(psutil.pid_exists, workers)))
cut_short = n_chunks(store / "descriptors/sbo") < CHUNKS
client.wait_for_ready(timeout=120)
reply = client.execute_interactive(cell, timeout=300, output_hook=lambda _: None)
print(json.dumps([len(workers), cut_short, reply["content"]["status"]]))
client.stop_channels()
kernel.shutdown_kernel(now=True)
"""


@pytest.mark.cluster
@pytest.mark.slow
def test_a_kernel_restarted_while_its_workers_work(store, undisturbed_store):
    pytest.importorskip("ipykernel")
    command = [sys.executable, "-c", RESTARTED, store, CELL.replace("STORE", str(store))]
    code, out, err = ended(start_process(command, ENVIRONMENT))
    assert code == 0, err
    assert json.loads(out) == [2, True, "ok"]
    assert gd.store.verify(store) == []
    made, expected = (gd.open_descriptors(place)["sbo"] for place in (store, undisturbed_store))
    np.testing.assert_array_equal(made, expected)
    listening = json.loads(store.with_name("run.zarr.json").read_text())["listening"]
    assert listening
    assert all(ipaddress.ip_address(address).is_loopback for address in listening), listening
