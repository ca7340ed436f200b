"""Run protocols: each is a dask task that fills a store.

A task is idempotent: the store remembers the hash of its description and seed; what is complete is not computed again,
what was interrupted goes on from its last checkpoint with the same numbers as if nothing had happened.
"""

from __future__ import annotations

import dataclasses
import os
import shutil
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import dask
import dask.array as da
import numpy as np
import xarray as xr
from dask.delayed import Delayed

from glassdask.declarations import flags, plain
from glassdask.errors import GlassdaskError, ParameterError, StoreError
from glassdask.graphs import compute, task_bytes, within_task
from glassdask.neighborhood.borders import refuse_open
from glassdask.schema import species_names
from glassdask.simulation import engine
from glassdask.simulation.checkpoints import CHECKPOINT
from glassdask.simulation.mixture import Model
from glassdask.simulation.models import read_model
from glassdask.simulation.operations import Load, Operation, Relax
from glassdask.simulation.protocols import Isoconfigurational, Simulation, StoredStart
from glassdask.simulation.recorders import (
    FramesRecorder,
    MeansRecorder,
    TrajectoryRecorder,
    hand_on,
    read_sums,
    store_thermo,
)
from glassdask.simulation.species import refuse_others
from glassdask.simulation.worker import DONE, Job
from glassdask.variables import annotated

# particle-steps between two checkpoints, about a minute of work
CHECKPOINT_WORK = 50_000_000
LEAST_CHECKPOINT = 1000
# particles of all frames that one process minimises: for some ten seconds, so that its start is a small part of them
MINIMISED_TOGETHER = 20_000
PROPENSITY = "isoconfigurational"
# Stores below that of a simulation that are simulated from it, and go when it is overwritten.
DERIVED = ("inherent", "isoconfigurational")


def simulate(simulation: Simulation, path: str, *, overwrite: bool = False, after: Any = None) -> Delayed:
    """The task that runs a simulation and stores its trajectory; its value is the path.

    Parameters
    ----------
    simulation : Simulation
        What is to be done.
    path : str
        The store, or a state point inside a tree, such as ``sweep.zarr/kob_andersen/T=0.4500``. Temperature, energies a
        particle, pressure, volume and shear stress are its reduction "thermo" (`glassdask.store.open_reduction`).
    overwrite : bool
        Replace another simulation that is stored there.
    after : object, optional
        Tasks that must be done before, such as the one that makes the `StoredStart`.

    Returns
    -------
    dask.delayed.Delayed
        To be computed by any scheduler. LAMMPS runs in a process of its own.

    Raises
    ------
    SimulationError
        LAMMPS reports an error, or was killed.
    StoreError
        Another simulation is stored there.
    SpeciesError, ParameterError, BoxError
        The start has particles of another model, or no such frame, or its box does not repeat: at once, where it is
        there.
    """
    flags(overwrite=overwrite)
    if isinstance(simulation.start, StoredStart) and after is None:
        _refuse_start(simulation.model, simulation.start)
    return dask.delayed(_simulate, pure=True)(simulation, str(path), overwrite, after)


def _simulate(simulation: Simulation, path: str, overwrite: bool, after: Any) -> str:
    from glassdask.store import content_hash

    start = simulation.start
    if isinstance(start, StoredStart):
        stored = _start(simulation.model, start)
        n_particles, frame = stored.sizes["particle"], start.frame % stored.sizes["frame"]
        with within_task():
            moving = "velocity" in stored and bool(compute(stored["velocity"][frame].any())[0])
        sources = [{"path": str(start.path), "sha256": content_hash(start.path)}]
        # what the start holds matters, not where it lies
        known: Any = dataclasses.replace(simulation, start=StoredStart(path="", frame=frame))
    else:
        n_particles, frame, moving, sources, known = start.n_particles, 0, False, [], simulation
    operations, n_frames = simulation.operations(frame, moving)
    identity = [known, [source["sha256"] for source in sources]]
    attrs = {"parameters": plain(simulation), "sources": sources}
    return _run(simulation.model, simulation.step, operations, n_frames, n_particles, path, identity, attrs, overwrite)


def inherent_structures(
    model: Model | str, source: str, path: str, *, overwrite: bool = False, after: Any = None
) -> Delayed:
    """The tasks that minimise the energy of every frame of a store and store the results; the value is the path.

    The frames keep their time and step; ``energy`` is the energy of each particle in the inherent structure, and the
    reduction "thermo" has the largest force that was left. No frame knows of the others: tasks of some frames each work
    side by side, and what is stored does not tell how many there were.

    Parameters
    ----------
    model : Model
        One of `glassdask.simulation.models`, or its name.
    source : str
        A store with frames of that model, thermal ones usually.
    path, overwrite, after : str, bool, object
        As for `simulate`. With `after` the source may still be to come, so that there is one task for all frames.

    Returns
    -------
    dask.delayed.Delayed
        To be computed by any scheduler.
    """
    flags(overwrite=overwrite)
    liquid = read_model(model, "inherent_structures.model")
    if after is None:
        _refuse_start(liquid, StoredStart(path=str(source)))
    ranges = _ranges(source) if after is None else []
    if len(ranges) < 2:
        return dask.delayed(_inherent_structures, pure=True)(liquid, str(source), str(path), overwrite, after)
    begun = dask.delayed(_begin_minimising, pure=True)(liquid, str(source), str(path), overwrite, ranges[-1].stop)
    done = [dask.delayed(_minimise, pure=True)(liquid, str(source), str(path), part, begun) for part in ranges]
    return dask.delayed(_join, pure=True)(liquid, str(path), done, begun)


def _ranges(source: str) -> list[range]:
    """Frames of a store that are minimised by one process each, shared out evenly; none of what is still to come."""
    from glassdask.store import open_trajectory

    if not _is_there(source):
        return []
    sizes = open_trajectory(source).sizes
    n, most = sizes["frame"], max(1, MINIMISED_TOGETHER // sizes["particle"])
    edges = np.linspace(0, n, -(-n // most) + 1).round().astype(int).tolist()
    return [range(first, stop) for first, stop in pairwise(edges)]


def _is_there(path: str) -> bool:
    """Whether a store is complete, which tasks that are made now may still have to make."""
    from glassdask.store.groups import COMPLETE, attributes, is_group

    return is_group(path) and attributes(path).get("status") == COMPLETE


def _start(model: Model, start: StoredStart) -> xr.Dataset:
    """The trajectory that has the start, if a simulation of the model can begin there."""
    from glassdask.store import open_trajectory

    stored = open_trajectory(start.path)
    refuse_open(stored, f"{start.path}: a simulation", "drop_vars('periodic') where it does repeat")
    try:
        refuse_others(model, species_names(stored), stored.sizes["space"])
    except GlassdaskError as error:
        raise type(error)(f"{start.path}: {error}") from None
    n = stored.sizes["frame"]
    if not -n <= start.frame < n:
        raise ParameterError(f"{start.path}: no frame {start.frame}: expected one from {-n} to {n - 1}")
    return stored


def _refuse_start(model: Model, start: StoredStart) -> None:
    """Raise before any task is run where a simulation of the model cannot begin at a start that is there."""
    if _is_there(start.path):
        _start(model, start)


def _inherent_structures(model: Model, source: str, path: str, overwrite: bool, after: Any) -> str:
    sizes = _start(model, StoredStart(path=source)).sizes
    identity, attrs = _minimising(model, source)
    operations, n_particles = _minimisations(source, range(sizes["frame"])), sizes["particle"]
    return _run(model, model.timestep, operations, sizes["frame"], n_particles, path, identity, attrs, overwrite)


def _minimisations(source: str, frames: range) -> tuple[Operation, ...]:
    operations: list[Operation] = []
    for frame in frames:
        operations += [Load(path=source, frame=frame, keep_time=True), Relax(keep=True)]
    return tuple(operations)


def _minimising(model: Model, source: str) -> tuple[list[Any], dict[str, Any]]:
    """What decides the inherent structures of a store, and the attributes of theirs."""
    from glassdask.store import content_hash

    content = content_hash(source)
    attrs = {
        "parameters": {"type": "inherent_structures", "model": plain(model)},
        "sources": [{"path": source, "sha256": content}],
    }
    return [model, *engine.INHERENT, content], attrs


def _begin_minimising(
    model: Model, source: str, path: str, overwrite: bool, n_frames: int
) -> tuple[str, dict[str, Any]] | None:
    """The key of the inherent structures and the attributes of their store; None where they are stored."""
    from glassdask.store import open_trajectory
    from glassdask.store.groups import create_parents

    sizes = open_trajectory(source).sizes
    if sizes["frame"] != n_frames:
        raise StoreError(
            f"{source}: has {sizes['frame']} frames, and had {n_frames} when the tasks were made: make them again"
        )
    identity, attrs = _minimising(model, source)
    key = engine.key(*identity, _checkpoint(sizes["particle"]))
    if _is_minimised(path, key, attrs, overwrite):
        return None
    create_parents(Path(path))
    return key, attrs | {"key": key, "code": engine.code_of(*identity), "model": model.name}


def _is_minimised(path: str, key: str, attrs: dict[str, Any], overwrite: bool = False) -> bool:
    """Whether all is stored, the thermodynamic numbers too, which are written last."""
    from glassdask.store.groups import COMPLETE, attributes, is_group

    if not _is_done(path, key, attrs["parameters"], overwrite):
        return False
    group = Path(path) / "reductions" / "thermo"
    found = attributes(group) if is_group(group) else {}
    return found.get("status") == COMPLETE and found["parameters"].get("key") == key


def _minimise(model: Model, source: str, path: str, frames: range, begun: tuple[str, dict[str, Any]] | None) -> range:
    """Minimise some frames, which are kept as files of the task, unless another process has stored all meanwhile."""
    from glassdask.store import open_trajectory

    if begun is not None and not _is_minimised(path, *begun):
        folder, checkpoint = _scratch(path, frames.start), _checkpoint(open_trajectory(source).sizes["particle"])
        job = Job(model, model.timestep, _minimisations(source, frames), FramesRecorder(str(folder)), checkpoint)
        engine.execute(job, folder, f"{begun[0]} {frames}")
    return frames


def _join(model: Model, path: str, parts: list[range], begun: tuple[str, dict[str, Any]] | None) -> str:
    """Store the frames of all parts as one task for all of them would have done it."""
    if begun is not None and not _is_minimised(path, *begun):
        recorder = TrajectoryRecorder(path, parts[-1].stop, model.species, begun[1])
        rows = []
        for part in parts:
            thermo, lammps = hand_on(_scratch(path, part.start), recorder)
            thermo["stage"] += 2 * part.start  # a frame is two: loading and going downhill
            rows.append(thermo)
        recorder.finish({name: np.concatenate([part[name] for part in rows]) for name in rows[0]}, lammps)
    return _cleared(path)


def _cleared(path: str) -> str:
    """The path of a store, without what tasks have kept in it on their way."""
    for folder in Path(path).glob(f"{engine.SCRATCH}*"):
        shutil.rmtree(folder, ignore_errors=True)
    return path


def minimised(path: str) -> int:
    """How many frames are done while the tasks of `inherent_structures` are at work, to be told as progress."""
    newest = []
    for folder in _present(Path(path), engine.SCRATCH):
        numbers = [int(name.removeprefix(CHECKPOINT)) for name in _present(Path(path) / folder, CHECKPOINT)]
        newest.append(max(numbers, default=0))
    return sum(number // len(engine.INHERENT) for number in newest)


def _present(folder: Path, beginning: str) -> list[str]:
    """Names in a folder that begin so; none where it is gone, as what is done is removed meanwhile."""
    with suppress(OSError):
        return [name for name in os.listdir(folder) if name.startswith(beginning)]
    return []


def _run(
    model: Model,
    timestep: float,
    operations: tuple[Operation, ...],
    n_frames: int | None,
    n_particles: int,
    path: str,
    identity: list[Any],
    attrs: dict[str, Any],
    overwrite: bool,
) -> str:
    """Do the operations and store the frames at `path`, unless that has been done."""
    from glassdask.store.groups import create_parents

    checkpoint = _checkpoint(n_particles)
    key = engine.key(*identity, checkpoint)
    scratch = Path(path) / engine.SCRATCH
    if not _is_done(path, key, attrs["parameters"], overwrite) or (scratch.exists() and not (scratch / DONE).exists()):
        create_parents(Path(path))
        attrs |= {"key": key, "code": engine.code_of(*identity), "model": model.name}
        recorder = TrajectoryRecorder(path, n_frames, model.species, attrs)
        engine.execute(Job(model, timestep, operations, recorder, checkpoint), scratch, key)
    return _cleared(path)


def _checkpoint(n_particles: int) -> int:
    return max(LEAST_CHECKPOINT, CHECKPOINT_WORK // n_particles)


def _is_done(path: str, key: str, parameters: dict[str, Any], overwrite: bool) -> bool:
    """Whether the store is complete and holds what has this key; removes what is to be overwritten."""
    from glassdask.store import remove_group
    from glassdask.store.groups import COMPLETE, attributes, is_group

    if not is_group(path) or "status" not in (found := attributes(path)):
        return False
    if found.get("key") == key:
        return found["status"] == COMPLETE
    if not overwrite:
        what = "the same simulation by other code" if found.get("parameters") == parameters else "another simulation"
        raise StoreError(f"{path}: holds {what}: overwrite it or choose another path")
    for below in DERIVED:
        if is_group(f"{path}/{below}"):
            remove_group(f"{path}/{below}")
    remove_group(path)
    return False


def isoconfigurational(
    ensemble: Isoconfigurational, path: str, *, overwrite: bool = False, after: Any = None
) -> Delayed:
    """The tasks that run an isoconfigurational ensemble, some replicas each; the value is the path.

    The store holds the start as a trajectory of one frame, and as its reduction "isoconfigurational"

    - ``propensity`` (power, lag, particle): the means of |r(t) - r(0)| and of |r(t) - r(0)|^2 over the replicas, see
      `glassdask.dynamics.propensity`
    - ``replica_displacement`` (replica, lag, particle, space), with ``keep=True``: r(t) - r(0) of every replica

    and as "thermo" the thermodynamic numbers of every replica.

    Parameters
    ----------
    ensemble : Isoconfigurational
        What is to be done.
    path, overwrite, after : str, bool, object
        As for `simulate`.

    Returns
    -------
    dask.delayed.Delayed
        To be computed by any scheduler.
    """
    flags(overwrite=overwrite)
    if after is None:
        _refuse_start(ensemble.model, ensemble.start)
    batches = range(0, ensemble.replicas, ensemble.batch)
    begun = dask.delayed(_prepare, pure=True)(ensemble, str(path), overwrite, after)
    done = [dask.delayed(_run_batch, pure=True)(ensemble, str(path), first, begun) for first in batches]
    return dask.delayed(_combine, pure=True)(ensemble, str(path), done, begun)


def _prepare(ensemble: Isoconfigurational, path: str, overwrite: bool, after: Any) -> str:
    """Store the start, unless the ensemble is done; the key of the ensemble."""
    from glassdask.store import content_hash, save_trajectory

    start = ensemble.start
    stored = _start(ensemble.model, start)
    content = content_hash(start.path)
    known = dataclasses.replace(ensemble, start=StoredStart(path="", frame=start.frame % stored.sizes["frame"]))
    key = engine.key(known, content, _checkpoint(stored.sizes["particle"]), recorder=MeansRecorder)
    found = _ensemble_key(path)
    if found is not None and found != key and not overwrite:
        raise StoreError(f"{path}: holds another isoconfigurational ensemble: overwrite it or choose another path")
    if found != key:
        with within_task():
            (frame,) = compute(stored.isel(frame=[start.frame]))
            frame.attrs = {"model": ensemble.model.name, "sources": [{"path": str(start.path), "sha256": content}]}
            save_trajectory(frame, path, overwrite=overwrite)
    return key


def _ensemble_key(path: str) -> str | None:
    """The key of the ensemble that is completely stored at `path`, if there is one."""
    from glassdask.store.groups import COMPLETE, attributes, is_group

    group = Path(path) / "reductions" / PROPENSITY
    attrs = attributes(group) if is_group(group) else {}
    return attrs["parameters"].get("key") if attrs.get("status") == COMPLETE else None


def _scratch(path: str, first: int) -> Path:
    return Path(path) / f"{engine.SCRATCH}-{first:05d}"


def _run_batch(ensemble: Isoconfigurational, path: str, first: int, key: str) -> int:
    """Run the replicas of one batch; the number of its first one."""
    from glassdask.store import open_trajectory

    if _ensemble_key(path) != key:
        replicas = range(first, min(first + ensemble.batch, ensemble.replicas))
        folder, lags = _scratch(path, first), len(ensemble.lags)
        recorder = MeansRecorder(str(folder), path, ensemble.model.species, replicas, lags, ensemble.keep)
        checkpoint = _checkpoint(open_trajectory(path).sizes["particle"])
        # the start as it is stored here, so that the tasks do not depend on its source any more
        operations = dataclasses.replace(ensemble, start=StoredStart(path=path)).operations(replicas)
        engine.execute(Job(ensemble.model, ensemble.step, operations, recorder, checkpoint), folder, key)
    return first


def _combine(ensemble: Isoconfigurational, path: str, batches: list[int], key: str) -> str:
    """Put the sums of all batches together, in the order of the replicas, and store the means."""
    from glassdask.store import write_dataset

    folders = [_scratch(path, first) for first in batches]
    if _ensemble_key(path) != key:
        sums, kept = zip(*map(read_sums, folders))
        time = np.array(ensemble.steps) * ensemble.step
        means = np.stack([sum(part[name] for part in sums) / ensemble.replicas for name in ("distance", "squared")])
        values = (("power", "lag", "particle"), means, {"units": "length^power"})
        dataset = xr.Dataset({"propensity": values}, coords={"power": [1, 2], "lag": time})
        if ensemble.keep:
            files = [file for files in kept for file in files]
            dims = ("replica", "lag", "particle", "space")
            dataset["replica_displacement"] = (dims, _stacked(files))
            dataset = dataset.assign_coords(space=list("xyz"[: ensemble.model.dimension]))
        dataset = annotated(dataset)
        parameters = {**plain(ensemble), "key": key, "lammps": int(sums[0]["lammps"])}
        columns = [name for name in sums[0] if name.startswith("thermo_")]
        thermo = {name.removeprefix("thermo_"): np.concatenate([part[name] for part in sums]) for name in columns}
        # a replica is two stages: loading and dynamics
        thermo["replica"] = np.concatenate([first + part["thermo_stage"] // 2 for first, part in zip(batches, sums)])
        del thermo["stage"]
        made_by = engine.code_of(ensemble, recorder=MeansRecorder)
        store_thermo(path, thermo, key, made_by)
        with within_task():
            write_dataset(
                dataset, path, f"reductions/{PROPENSITY}", parameters=parameters, code=made_by, overwrite=True
            )
    for folder in folders:
        shutil.rmtree(folder, ignore_errors=True)
    return path


def _stacked(files: list[Path]) -> da.Array:
    """Arrays of equal shape (lag, particle, space) as one lazy array with a replica axis, in blocks of particles."""

    def read(low: int, high: int) -> np.ndarray:
        return np.stack([np.load(file, mmap_mode="r")[:, low:high] for file in files])

    lags, particles, space = np.load(files[0], mmap_mode="r").shape
    size = max(1, task_bytes() // (8 * len(files) * lags * space))
    blocks = []
    for low in range(0, particles, size):
        high = min(low + size, particles)
        shape = (len(files), lags, high - low, space)
        blocks.append(da.from_delayed(dask.delayed(read)(low, high), shape, np.float64))
    return da.concatenate(blocks, axis=2)
