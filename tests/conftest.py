"""Configurations that many tests share."""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask import frames

# thousands of tests, and all that they import, stay: to look for garbage among them again and again takes a sixth of
# the time. (gc.freeze would hide them from Hypothesis, which asks for referrers.)
gc.set_threshold(100_000, 20, 100)

# what Python makes of our modules is kept, whatever the shell says: hundreds of processes of tests import them, and to
# make it takes a fifth of a start
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

DATA = Path(__file__).parent / "data"
SHIPPED = Path(__file__).parents[1] / "pipelines" / "data"
SHIPPED_FILES = {"wahnstrom": "wahn_N4000_T0.58.npz", "kob_andersen": "ka_N2000_T0.45.npz"}


def pair_cutoffs(matrix: np.ndarray) -> dict[tuple[str, str], float]:
    return {("A", "A"): matrix[0, 0], ("A", "B"): matrix[0, 1], ("B", "B"): matrix[1, 1]}


@pytest.fixture(params=["wahn_N1000", "kalj_N150"])
def peer(request):
    """Name, trajectory and cutoffs of a configuration for which other programs' values are kept."""
    data = np.load(DATA / f"{request.param}.npz")
    trajectory = gd.from_arrays(data["position"], species=data["species"], box=data["box"])
    return request.param, trajectory, pair_cutoffs(data["pair_cutoffs"])


@pytest.fixture(params=["wahnstrom", "kob_andersen"])
def shipped(request):
    """Name and trajectory of the configurations that the project ships."""
    run = np.load(SHIPPED / SHIPPED_FILES[request.param])
    species = np.where(run["species"] == 1, "A", "B")
    return request.param, gd.from_arrays(run["position"], species=species, box=run["box"], time=run["time"])


@pytest.fixture
def liquid():
    """A small random binary mixture in a triclinic box that changes from frame to frame, three frames."""
    rng = np.random.default_rng(20261121)
    box = np.array([[7.0, 0.0, 0.0], [1.5, 6.5, 0.0], [-1.0, 0.8, 6.0]]) * np.array([1.0, 1.03, 0.97])[:, None, None]
    fraction = rng.random((3, 240, 3))
    position = np.einsum("fpa,fas->fps", fraction, box)
    return gd.from_arrays(position, species=np.where(np.arange(240) % 3 == 0, "B", "A"), box=box)


@pytest.fixture
def task_rows(monkeypatch):
    """A function that sets how many particles of all its frames together a task has, instead of seconds of work."""

    def set_rows(rows):
        monkeypatch.setattr(frames, "task_shape", lambda n, items, *_, **__: frames.shape_of_rows(n, items, rows))

    return set_rows


@pytest.fixture(scope="session")
def _two_processes():
    distributed = pytest.importorskip("distributed")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address="127.0.0.1:0", host="127.0.0.1"
    ) as cluster:
        yield cluster


@pytest.fixture
def two_workers(_two_processes):
    """A client of two worker processes on the loopback interface; the scheduler of this test only."""
    from distributed import Client

    with Client(_two_processes) as client:
        yield client
