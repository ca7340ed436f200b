"""Workers die: one in mid-task, one with its node, one over its memory limit."""

from __future__ import annotations

import os
import re
import signal

import pytest

from glassdask import store as stores
from tests.faults.harness import (
    CHUNKS,
    SLOW,
    cluster,
    ended,
    fingerprint,
    kill,
    message,
    n_chunks,
    start,
    wait_for,
)

pytestmark = [pytest.mark.cluster, pytest.mark.slow]


def test_a_worker_killed_in_mid_task(tmp_path, store, undisturbed):
    """The process of a worker, and then another worker with its nanny: the command does not even notice."""
    from distributed import Client

    group = store / "descriptors/sbo"
    with cluster(tmp_path) as made, Client(made.address) as client:
        client.wait_for_workers(2, timeout=120)
        pids = client.run(os.getpid)
        command = start("describe", store, SLOW, "--cluster", made.address, "-q")
        wait_for(lambda: n_chunks(group) >= 2, command)

        def busy():
            return [address for address, tasks in client.processing().items() if tasks and address in pids]

        wait_for(busy, command)
        victim = busy()[0]
        os.kill(pids[victim], signal.SIGKILL)
        wait_for(lambda: victim not in client.scheduler_info(n_workers=-1)["workers"], command)
        assert n_chunks(group) < CHUNKS
        # the other one goes as a node does, with all that runs there
        other = next(pid for address, pid in pids.items() if address != victim)
        kill(next(worker for worker in made.workers if os.getpgid(other) == worker.pid))
        code, _, err = ended(command)
    assert (code, err) == (0, "")
    assert fingerprint(store) == undisturbed


def test_a_worker_over_its_memory_limit(tmp_path, store, undisturbed):
    """The nanny kills it; told in one line after the task was tried again, and with enough memory all is well."""
    config = {"DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": 1}
    with cluster(tmp_path, workers=1, memory="170MiB", **config) as made:
        text = message(ended(start("describe", store, SLOW, "--cluster", made.address, "-q")))
        assert "2 workers died in the same task, as they do over their memory limit of 170 MiB" in text
        assert "more memory" in text
        assert "smaller blocks" in text
        enough = re.search(r"measured here: .* whatever the block is: give workers (\d+) MiB$", text)[1]
        assert any("status is 'writing'" in problem for problem in stores.verify(store))
        kill(made.workers[0])
        made.workers.append(made.add_worker(f"{enough}MiB"))
        code, _, err = ended(start("describe", store, SLOW, "--cluster", made.address, "-q"))
    assert (code, err) == (0, "")
    assert fingerprint(store) == undisturbed
