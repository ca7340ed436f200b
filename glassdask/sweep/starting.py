"""What a sweep takes besides its units: starting processes, importing, loading kernels or compiling them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

# Seconds of one core, the medians of runs of 1, 2 and 4 workers and of 2 to 200 tasks that do nothing, in processes
# that import what units of a sweep import (AMD EPYC, 2 cores, Python 3.11, distributed 2026.8).
SCHEDULER = 2.0  # the process of client and scheduler, from its first import to its end
WORKER = 2.9  # a worker and the nanny that watches it
PROCESS = 1.3  # where units are run without workers: the imports
HANDED = 0.003  # a unit that a scheduler hands over
RECORDED = 0.02  # a unit's records, before it and after
WATCHED = (0.017, 0.012)  # of a core all the while: client, scheduler and nannies; a worker (see cluster.overhead)
MEMORY = 50 * 2**20  # bytes that a worker has besides what a process has that does the same


@dataclass(frozen=True)
class Starting:
    """What it takes to start, in seconds of one core.

    Attributes
    ----------
    workers : how many; 0 where units are run one by one in the process of the command
    loading : what each of them takes longer for the first units of each kind than for others of that kind
    """

    workers: int
    loading: float = 0.0

    @property
    def memory(self) -> float:
        """Bytes of a worker for being one."""
        return float(MEMORY) if self.workers else 0.0

    def seconds(self, units: int) -> float:
        """Of all processes together, for so many units.

        >>> Starting(workers=0, loading=1.0).seconds(1), Starting(workers=4, loading=1.0).seconds(2)
        (2.32, 15.646)
        """
        if not units:
            return 0.0
        if not self.workers:
            return round(PROCESS + self.loading + RECORDED * units, 6)
        of_units = (HANDED + RECORDED) * units
        return round(SCHEDULER + WORKER * self.workers + self.loading * min(self.workers, units) + of_units, 6)

    def watching(self, elapsed: float) -> float:
        """Of all processes together, for looks at themselves and at each other.

        >>> Starting(workers=4).watching(1000.0)
        65.0
        """
        return round((WATCHED[0] + WATCHED[1] * self.workers) * elapsed, 6) if self.workers else 0.0

    def elapsed(self, units: int, work: float, longest: float) -> float:
        """Seconds until the end, where each worker has a core of its own.

        Parameters
        ----------
        units : of all states
        work : what they take together
        longest : what those of one state take, which wait for each other

        Examples
        --------
        >>> Starting(workers=4, loading=1.0).elapsed(4, work=40.0, longest=25.0)
        30.992
        """
        if not self.workers:
            return self.seconds(units) + work
        alone = Starting(1, self.loading).seconds(units) if units else 0.0
        return round(alone + max(work / self.workers, longest), 6)


def cpu_seconds() -> float:
    """Seconds of cores that this process and those that it has ended have used: machines may be busy."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in used)


@contextmanager
def compiling() -> Iterator[list[float]]:
    """The seconds of a core that numba takes inside for compiling; what is found compiled is not among them.

    Examples
    --------
    >>> from numba import njit
    >>> with compiling() as took:
    ...     _ = njit(lambda x: x + 1)(1)
    >>> len(took), took[0] > 0
    (1, True)
    """
    from numba.core import event

    took: list[float] = []

    class Listener(event.Listener):
        """Of the outermost of compilations that are made for each other."""

        depth, begun = 0, 0.0

        def on_start(self, event: Any) -> None:
            self.begun = self.begun if self.depth else cpu_seconds()
            self.depth += 1

        def on_end(self, event: Any) -> None:
            self.depth -= 1
            if not self.depth:
                took.append(cpu_seconds() - self.begun)

    with event.install_listener("numba:compile", Listener()):
        yield took
