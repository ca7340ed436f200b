"""Run shares of a sweep in a process group of their own, forked from one process that has imported everything.

Reads lines from its standard input; for each it begins a run, prints the process group, and when that has ended, a
second line.
"""

from __future__ import annotations

import os
import sys

import dask

import glassdask.sweep.measures  # noqa: F401
from glassdask.descriptors import bond_order, describe, reduce, registry, saving  # noqa: F401
from glassdask.learning import PCA, pearson  # noqa: F401
from glassdask.sweep import run_sweep, running

PROCESSES = 2


def share(file: str, number: int) -> None:
    running.GATHER_AT = 10  # so that processes are killed while they gather records, too
    with dask.config.set(scheduler="synchronous"):
        run_sweep(file, share=(number, PROCESSES))
    os._exit(0)


def main(file: str) -> None:
    for _ in sys.stdin:
        leader = os.fork()
        if leader == 0:
            os.setpgid(0, 0)
            other = os.fork()
            if other == 0:
                share(file, 2)
            children = [other, os.fork()]
            if children[1] == 0:
                share(file, 1)
            codes = [os.waitpid(child, 0)[1] for child in children]
            os._exit(any(codes))
        print(leader, flush=True)
        print(os.waitpid(leader, 0)[1], flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
