"""The process in which LAMMPS runs: an MPI job of its own wherever it is started, without sockets or remains."""

from __future__ import annotations

import mmap
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import glassdask as gd
from glassdask.simulation import KOB_ANDERSEN, Dynamics, RandomStart, Simulation, engine, instance, simulate
from tests.faults.situations import SHORT

MPIEXEC = {"PMI_RANK": "0", "PMI_SIZE": "4", "PMI_FD": "7"}
SRUN = {"PMIX_RANK": "0", "PMIX_NAMESPACE": "x", "PMIX_SERVER_URI2": "x", "SLURM_PROCID": "0", "SLURM_STEP_ID": "0"}
OPEN_MPI = {"OMPI_COMM_WORLD_RANK": "1", "OMPI_COMM_WORLD_SIZE": "4", "PMIX_ID": "x.0", "PRTE_LAUNCHED": "1"}

LOOK = """
import os, sys
from pathlib import Path
from glassdask.simulation import KOB_ANDERSEN
from glassdask.simulation.instance import Instance
from tests.listening import listening

instance = Instance(KOB_ANDERSEN, 0.004, Path(sys.argv[1]))
left = Path("/dev/shm").glob(f"mpich_shm_{os.getpid():x}_*")
print(sorted(listening(os.getpid())), list(map(str, left)), flush=True)
os._exit(0)
"""


@pytest.mark.parametrize("launcher", [MPIEXEC, SRUN, OPEN_MPI], ids=["mpiexec", "srun", "Open MPI"])
def test_below_a_launcher(tmp_path, monkeypatch, launcher):
    dynamics = Dynamics(time=0.1, temperature=1.5, every=0.1)
    run = Simulation(model=KOB_ANDERSEN, start=RandomStart(n_particles=100), seed=1, stages=(dynamics,))
    for name, value in launcher.items():
        monkeypatch.setenv(name, value)
    simulate(run, str(tmp_path / "run.zarr")).compute(scheduler="synchronous")
    assert np.isfinite(gd.open_trajectory(tmp_path / "run.zarr")["position"].values).all()


def test_what_is_taken_out():
    usual = {"HOME": "/root", "PATH": "/bin", "OMP_NUM_THREADS": "1", "MPIR_CVAR_DEBUG_SUMMARY": "0"}
    assert engine.alone({**usual, **MPIEXEC, **SRUN, **OPEN_MPI}) == {**usual, "UCX_TLS": "self"}


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="no /dev/shm")
def test_no_socket_and_nothing_left_in_shared_memory(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", LOOK, str(tmp_path)],
        env=engine.alone({**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[] []"


def test_shared_memory_of_killed_processes_is_taken_away(tmp_path, monkeypatch):
    """What is old and that no process has mapped."""
    monkeypatch.setattr(instance, "SHARED", f"{tmp_path}/mpich_shm_")
    names = {"mpich_shm_a_0": False, "mpich_shm_b_0": True, "mpich_shm_c_0": True, "other": True}
    for name in names:
        (tmp_path / name).write_bytes(bytes(4096))
        os.utime(tmp_path / name, (0, 0))
    os.utime(tmp_path / "mpich_shm_b_0")  # just made
    with open(tmp_path / "mpich_shm_c_0", "r+b") as file, mmap.mmap(file.fileno(), 4096):
        instance._free_abandoned()
    assert {name: (tmp_path / name).exists() for name in names} == names


@pytest.mark.slow
@pytest.mark.skipif(os.getuid() != 0 or shutil.which("unshare") is None, reason="only root may have a /dev/shm apart")
def test_shared_memory_of_four_megabytes_is_enough(tmp_path):
    """Each simulation left 1 MB of it, and the fourth died; a hundred of them by tests.faults.situations."""
    alone = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=4m tmpfs /dev/shm && exec "$@"', "sh"]
    command = [*alone, sys.executable, "-c", SHORT, str(tmp_path), "5"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert (done.returncode, done.stdout.split()) == (0, ["nothing"] * 5), done.stderr
