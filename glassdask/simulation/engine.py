"""Run a job in a process of its own, so that neither a crash of LAMMPS nor its end takes a dask worker along.

A job lies in a hidden folder of the store that it fills: its description, the newest checkpoint, errors. The folder
goes when the store is complete.
"""

from __future__ import annotations

import dataclasses
import logging
import os
import pickle
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassdask import code
from glassdask.declarations import digest
from glassdask.errors import SimulationError, SimulationKilledError, StoreError
from glassdask.files import put, writing
from glassdask.simulation.instance import Instance
from glassdask.simulation.operations import Load, Relax
from glassdask.simulation.recorders import TrajectoryRecorder
from glassdask.simulation.worker import DAMAGED, DONE, ERROR, JOB, Job

logger = logging.getLogger(__name__)

SCRATCH = ".simulation"
# beginnings of the variables by which launchers tell processes that they belong to an MPI job
LAUNCHERS = (
    "PMI_", "PMI2_", "PMIX_", "OMPI_", "PRTE_", "ORTE_", "HYDI_", "HYDRA_", "MPI_LOCAL", "MPIEXEC_", "MV2_COMM_",
    "I_MPI_", "PALS_", "ALPS_", "SLURM_",
)  # fmt: skip
# how inherent structures are made, as part of their keys
INHERENT = (Load(path="", frame=0, keep_time=True), Relax(keep=True))


def code_of(*parts: Any, recorder: type = TrajectoryRecorder) -> str:
    """Digest of the code that decides what LAMMPS is told and how it is recorded.

    Simulations are long: what goes on around LAMMPS (processes, checkpoints, errors) is left out, and so are neighbours
    and kernels that glassdask itself computes energies with; potentials that it tabulates for LAMMPS are not.
    """
    declared = [part for part in parts if dataclasses.is_dataclass(part)]
    return code.digest(*declared, Instance, recorder, apart=("glassdask.neighborhood",))


def key(*parts: Any, recorder: type = TrajectoryRecorder) -> str:
    """SHA-256 of the descriptions of all that a result depends on, and of the code that simulates it."""
    return digest(code_of(*parts, recorder=recorder), *parts)


def alone(environment: Mapping[str, str]) -> dict[str, str]:
    """An environment for a process that is an MPI job by itself, wherever its parent runs.

    What launchers (mpiexec, srun, those of dask-mpi) tell their processes is taken out: MPI would take it for itself,
    and wait for, or die without, the other processes. One process needs no network: without this UCX, inside of
    MPICH, opens a port to the outside.

    >>> alone({"PMI_RANK": "1", "SLURM_PROCID": "1", "HOME": "/root"})
    {'HOME': '/root', 'UCX_TLS': 'self'}
    """
    kept = {name: value for name, value in environment.items() if not name.startswith(LAUNCHERS)}
    return {**kept, "UCX_TLS": "self"}


def execute(job: Job, folder: Path, identity: str) -> None:
    """Do the job in a process of its own, or go on with it where it was interrupted.

    Parameters
    ----------
    job : Job
        What is to be done.
    folder : Path
        Where its checkpoints are. A folder with another identity is emptied first.
    identity : str
        The `key` of the job.

    Raises
    ------
    SimulationError
        With LAMMPS' own words, or that its process crashed.
    SimulationKilledError
        The process was killed from outside.
    """
    mark = folder / "key"
    if folder.is_symlink():
        raise StoreError(f"{folder}: is a symbolic link, which no simulation makes: remove it")
    if folder.exists() and (not mark.exists() or mark.read_bytes() != identity.encode()):
        shutil.rmtree(folder)
    if (folder / DONE).exists():
        return
    with writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
        put(folder / JOB, pickle.dumps(job))
        put(mark, identity)
        with open(folder / "stderr.txt", "ab") as errors:
            command = [sys.executable, "-m", "glassdask.simulation.process", str(folder)]
            process = subprocess.Popen(
                command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=alone(os.environ)
            )
    try:
        code = process.wait()
    finally:
        process.kill()  # also when this thread is interrupted; the checkpoints stay
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
    if (folder / DAMAGED).exists():
        for line in (folder / DAMAGED).read_text().splitlines():
            logger.warning(line)
        (folder / DAMAGED).unlink()
    if (folder / DONE).exists() or not folder.exists():
        return
    if (folder / ERROR).exists():
        raise SimulationError(f"{folder.parent}: {(folder / ERROR).read_text()}")
    signals = {number.value: number.name for number in signal.Signals}
    cause = f"signal {signals.get(-code, -code)}" if code < 0 else f"exit code {code}"
    ended = f"{folder.parent}: LAMMPS' process ended with {cause} (see {folder}/stderr.txt)"
    if -code == signal.SIGBUS:
        raise SimulationError(f"{ended}: MPI had no room in /dev/shm, or a disk is full: free some, then run it again")
    if -code in (signal.SIGSEGV, signal.SIGABRT, signal.SIGFPE):
        raise SimulationError(f"{ended}: use a smaller timestep")
    again = "run the same command again to go on from the last checkpoint"
    raise (SimulationKilledError if code < 0 else SimulationError)(f"{ended}: {again}")
