"""What the process does in which LAMMPS runs, ``python -m glassdask.simulation.process FOLDER``.

It does the job that lies in the folder, from the newest checkpoint on. It ends when its parent ends, whatever kills
that. A folder has one worker at a time: a second one waits for the first, and then finds the work done.
"""

from __future__ import annotations

import os
import pickle
import threading
import traceback
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import GlassdaskError, SimulationError
from glassdask.files import locked, put
from glassdask.simulation.checkpoints import newest_checkpoint, save_checkpoint
from glassdask.simulation.instance import Instance
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import TABLE
from glassdask.simulation.operations import Operation, Recorder, State, Strain
from glassdask.simulation.polydisperse import PolydisperseModel

JOB, ERROR, DONE, DAMAGED = "job.pickle", "error.txt", "done", "damaged.txt"


@dataclass
class Job:
    """All that a worker needs to know."""

    model: Model
    timestep: float
    operations: tuple[Operation, ...]
    recorder: Recorder
    checkpoint: int  # integration steps between two checkpoints


def work(folder: Path) -> None:
    """Do the job in `folder`."""
    job: Job = pickle.loads((folder / JOB).read_bytes())  # written by the parent just now
    state, restart, damaged = newest_checkpoint(folder)
    (folder / TABLE).unlink(missing_ok=True)  # made anew: nothing says whether it is whole
    if damaged:
        put(folder / DAMAGED, "\n".join(damaged))
    if state is None:
        sheared = any(isinstance(operation, Strain) for operation in job.operations)
        state = State(recorder=job.recorder, strain=0.0 if sheared else None)
    for place in ("path", "folder"):  # a checkpoint does not say where things are written
        if hasattr(job.recorder, place):
            setattr(state.recorder, place, getattr(job.recorder, place))
    while state.operation < len(job.operations):
        operation = job.operations[state.operation]
        try:
            made: Any = Instance
            if isinstance(job.model, PolydisperseModel):
                from glassdask.simulation.sample import Sample  # with SciPy's minimisers, which LAMMPS does without

                made = Sample
            instance = made(job.model, job.timestep, folder)
            if not operation.fresh:
                assert restart is not None
                instance.restart(restart, state.step)
            over = operation.perform(instance, state, job.checkpoint)
            state.lammps = instance.version
        except Exception as error:
            where = f"stage {state.operation} ({type(operation).__name__}), after step {state.step}"
            raise SimulationError(f"{where}: {message(error)}") from error
        if over:
            state.operation, state.done, state.memory = state.operation + 1, 0, None
        restart = save_checkpoint(folder, state, instance)
        instance.close()
    table = np.array(state.thermo, dtype=np.float64).reshape(len(state.thermo), -1)
    state.recorder.finish({name: table[:, k] for k, name in enumerate(state.columns)}, state.lammps)
    (folder / DONE).touch()


def end_with_parent() -> None:
    """End this process when its standard input is closed, that is when the parent has ended in whatever way."""

    def watch() -> None:
        with suppress(OSError):
            while os.read(0, 1):
                pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def message(error: BaseException) -> str:
    """What went wrong, in one line: LAMMPS' own words where it was LAMMPS."""
    text = " ".join(str(error).split())
    if isinstance(error, GlassdaskError):
        return text
    if text.startswith("ERROR"):
        text = text.partition(" For more information")[0]
        unstable = any(words in text for words in ("Lost atoms", "Non-numeric", "missing", "ut of range"))
        return f"LAMMPS: {text}" + (": use a smaller timestep, or begin less hot" if unstable else "")
    return f"{type(error).__name__}: {text}"


def main(arguments: list[str]) -> int:
    """Work in the folder that is named; returns the exit code."""
    end_with_parent()
    folder = Path(arguments[0])
    with locked(folder / "lock", folder):
        if not (folder / DONE).exists():
            (folder / ERROR).unlink(missing_ok=True)
            try:
                work(folder)
            except Exception as error:
                traceback.print_exc()
                put(folder / ERROR, message(error))
                return 1
    return 0
