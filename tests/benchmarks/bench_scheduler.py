"""What dask's scheduler takes for each task, with many workers: ``python -m tests.benchmarks.bench_scheduler 10 100``.

The scheduler is a process of its own, and so are the workers, many to a process; kernels only sleep, so that two cores
are enough for hundreds of workers. The client hands over independent tasks in batches, as everything here does
(`glassdask.graphs.compute_batches`). CPU time is measured of the scheduler and of the client, without what workers take
to start. One core of it serves 1 / (CPU time of a task) tasks a second: so many workers can be kept busy by tasks of a
second, and tasks must be longer in proportion where there are more.
"""

from __future__ import annotations

import argparse
import asyncio
import math
import multiprocessing
import os
import tempfile
import time
from pathlib import Path
from typing import Any

import dask
from distributed import Client, Scheduler, Worker

from glassdask.graphs import BATCH, compute_batches

TO_A_PROCESS = 50  # workers
TICKS = 100.0  # a second, of what /proc tells


def sleep(seconds: float, number: int) -> int:
    """A kernel that takes its time and no core; what it gives is small, as receipts are."""
    time.sleep(seconds)
    return number


def scheduler(ready: Any) -> None:
    async def serve() -> None:
        async with Scheduler(host="127.0.0.1", port=0, dashboard=False) as serving:
            ready.put(serving.address)
            await serving.finished()

    asyncio.run(serve())


def workers(address: str, number: int, folder: str) -> None:
    async def serve() -> None:
        options: dict[str, Any] = {"nthreads": 1, "dashboard": False, "memory_limit": 0, "local_directory": folder}
        made = [Worker(address, **options) for _ in range(number)]
        for first in range(0, number, 10):
            await asyncio.gather(*made[first : first + 10])
        await asyncio.gather(*(worker.finished() for worker in made))

    asyncio.run(serve())


def cpu_of(process: int) -> float:
    """Seconds of a process, as the kernel counts them."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def measure(number: int, seconds: float, rounds: int, folder: str) -> tuple[float, float, float]:
    """CPU time of a task, of the scheduler and of the client; and the share of the time in which workers sleep."""
    context = multiprocessing.get_context("spawn")
    ready = context.Queue()
    serving = context.Process(target=scheduler, args=(ready,), daemon=True)
    serving.start()
    address = ready.get(timeout=120)
    crews = [
        context.Process(target=workers, args=(address, min(TO_A_PROCESS, number - first), folder), daemon=True)
        for first in range(0, number, TO_A_PROCESS)
    ]
    for crew in crews:
        crew.start()
    try:
        with Client(address) as client:
            client.wait_for_workers(number, timeout=600)
            tasks = number * rounds
            before, own, begun = cpu_of(serving.pid), time.process_time(), time.perf_counter()
            batches = (
                [dask.delayed(sleep, pure=False)(seconds, k) for k in range(first, min(first + BATCH, tasks))]
                for first in range(0, tasks, BATCH)
            )
            done = sum(len(results) for results in compute_batches(batches))
            assert done == tasks, f"{done} of {tasks} tasks came back"
            passed = time.perf_counter() - begun
            busy = tasks * seconds / (number * passed)
            return (cpu_of(serving.pid) - before) / tasks, (time.process_time() - own) / tasks, busy
    finally:
        for process in (*crews, serving):
            process.kill()
            process.join()


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.bench_scheduler", description=__doc__)
    parser.add_argument("workers", nargs="*", type=int, default=[10, 100, 300, 1000], help="numbers of workers")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a task; 1 is the default of glassdask")
    parser.add_argument("--rounds", type=int, default=10, help="tasks of each worker")
    given = parser.parse_args(arguments)
    print(f"{'workers':>8s}{'scheduler':>12s}{'client':>10s}{'share':>8s}{'busy':>7s}{'least task':>12s}")
    os.environ["DASK_LOGGING__DISTRIBUTED"] = "critical"  # of the processes, which tell of every arrival
    for number in given.workers:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            of_scheduler, of_client, busy = measure(number, given.seconds, given.rounds, folder)
        both = of_scheduler + of_client
        least = math.ceil(10 * number * both) / 10  # seconds, that one core for both can follow
        print(
            f"{number:8d}{1e3 * of_scheduler:9.2f} ms{1e3 * of_client:7.2f} ms{100 * both / given.seconds:6.2f} %"
            f"{100 * busy:5.0f} %{least:10.1f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
