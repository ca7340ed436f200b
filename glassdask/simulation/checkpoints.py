"""Checkpoints of simulations: the two newest are kept, with checksums, and read without running what is in them.

They lie in the store that the simulation fills, and a store may come from somebody else.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import shutil
from pathlib import Path

from glassdask.errors import CorruptStoreError, SimulationError
from glassdask.files import RefusedError, read_json, sync, unpickle, write_json
from glassdask.simulation.instance import Instance
from glassdask.simulation.operations import State

CHECKPOINT, RESTART, STATE, CHECKSUMS = "checkpoint-", "restart", "state.pickle", "checksums.json"
KEPT = 2  # checkpoints: the file system may lose the newest with the power, the disk may damage one

# All that a pickled `State` is made of. Recorders set nothing but their attributes when they are restored.
KNOWN = dict.fromkeys(
    [
        "glassdask.simulation.operations.State",
        "glassdask.simulation.recorders.TrajectoryRecorder",
        "glassdask.simulation.recorders.MeansRecorder",
        "glassdask.simulation.recorders.FramesRecorder",
        "glassdask.simulation.instance.Frame",
        "builtins.range",
        "pathlib.PosixPath",
        "numpy.ndarray",
        "numpy.dtype",
        *(f"numpy.{core}.multiarray.{name}" for core in ("_core", "core") for name in ("_reconstruct", "scalar")),
        *(f"numpy.{core}.numeric._frombuffer" for core in ("_core", "core")),
    ]
)


def load_state(content: bytes, name: str) -> State:
    """The `State` in a pickle; `SimulationError` where it asks for anything else, or is damaged.

    Examples
    --------
    >>> import pickle
    >>> load_state(pickle.dumps(State(recorder=None, step=100)), "state.pickle").step
    100
    >>> load_state(pickle.dumps(print), "state.pickle")
    Traceback (most recent call last):
    glassdask.errors.SimulationError: state.pickle: needs builtins.print, which is not run: remove this checkpoint
    """
    try:
        state = unpickle(content, KNOWN)
        if isinstance(state, State):
            return state
        found = f"holds {type(state).__name__}"
    except RefusedError as refused:
        found = f"needs {refused}, which is not run"
    except Exception as error:  # whatever a damaged pickle makes the machine of pickles stumble over
        found = f"cannot be read ({error})"
    raise SimulationError(f"{name}: {found}: remove this checkpoint")


def save_checkpoint(folder: Path, state: State, instance: Instance) -> Path:
    """Put a checkpoint in place at once, on the disk, and remove all but the one before; returns its restart file."""
    state.checkpoints += 1
    partial, final = folder / "partial", folder / f"{CHECKPOINT}{state.checkpoints:08d}"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir()
    instance.save(partial / RESTART)
    (partial / STATE).write_bytes(pickle.dumps(state))
    for name in (RESTART, STATE):
        sync(partial / name)
    write_json(partial / CHECKSUMS, _checksums(partial))
    shutil.rmtree(final, ignore_errors=True)  # a damaged one, in place of which the one before was used
    os.rename(partial, final)
    sync(folder)
    for old in sorted(folder.glob(f"{CHECKPOINT}*"))[:-KEPT]:
        os.rename(old, partial)  # so that none is half there
        shutil.rmtree(partial, ignore_errors=True)
    return final / RESTART


def newest_checkpoint(folder: Path) -> tuple[State | None, Path | None, list[str]]:
    """The state and the restart file to go on from, None without one, and a line for each that is damaged.

    What is damaged is removed, and the checkpoint before is used; without any the simulation begins again, with the
    same numbers.
    """
    damaged: list[str] = []
    for checkpoint in sorted(folder.glob(f"{CHECKPOINT}*"), reverse=True):
        if not (why := _damage(checkpoint)):
            file = checkpoint / STATE
            return load_state(file.read_bytes(), str(file)), checkpoint / RESTART, damaged
        shutil.rmtree(checkpoint, ignore_errors=True)
        damaged.append(f"{checkpoint}: {why}: removed, the simulation goes on from the checkpoint before")
    return None, None, damaged


def _checksums(checkpoint: Path) -> dict[str, str]:
    return {name: hashlib.sha256((checkpoint / name).read_bytes()).hexdigest() for name in (RESTART, STATE)}


def _damage(checkpoint: Path) -> str:
    """What is wrong with a checkpoint, if anything."""
    try:
        known, found = read_json(checkpoint / CHECKSUMS), _checksums(checkpoint)
    except (CorruptStoreError, OSError):
        return "a file is damaged or missing"
    if known is None:
        return "has no checksums"
    return " and ".join(f"{name} is damaged" for name in found if known.get(name) != found[name])
