"""What a sweep would take: its units, core time, disk and memory, by small pieces of it that are run now.

What starts and ends processes is in `glassdask.sweep.starting`.
"""

from __future__ import annotations

import math
import os
import resource
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import GlassdaskError, StoreError
from glassdask.graphs import task_bytes, within_task
from glassdask.simulation.protocols import Dynamics, RandomStart, Simulation, SwapMonteCarlo
from glassdask.store import open_trajectory, save_trajectory
from glassdask.store.arrays import arrays
from glassdask.sweep import progress, records
from glassdask.sweep.advice import toml
from glassdask.sweep.description import INGEST, SIMULATE, Sweep
from glassdask.sweep.ingesting import Sources
from glassdask.sweep.protocol import Recipe
from glassdask.sweep.replicas import REPLICAS, Ensemble
from glassdask.sweep.stages import stage_named
from glassdask.sweep.starting import Starting, compiling, cpu_seconds
from glassdask.sweep.state import Settings, State

FILES = (INGEST, REPLICAS)  # whose work is that of reading
LARGEST = 1000  # particles of a piece that is simulated
STEPS = (2e5, 1.2e6)  # particles times steps of the two pieces; what does not grow with them is told from what does
BLOCKS = (2, 6)  # intervals of the production in them
FRAMES = (3, 9)  # of pieces of trajectories that exist, at least ...
ROWS = (2e4, 6e4)  # ... and as many as have this many particles, so that g(r) tells cutoffs; or bytes of files:
BYTES = (1e6, 3e6)
INFLATED = 4  # times the bytes on disk, compressed and of single precision, are in memory while they are computed


@dataclass
class Estimate:
    """What remains to be done of a sweep.

    Attributes
    ----------
    starting : what it takes to start the processes that do it
    units : of each stage
    seconds : of one core, of each stage; None where a piece could not be run
    longest : seconds of one core, of the state that takes most
    bytes : on disk, in all
    memory : of a worker in bytes
    compiling : seconds of one core that kernels took which were compiled now; each machine does that once
    notes : why something is not known
    """

    starting: Starting
    units: dict[str, int] = field(default_factory=dict)
    seconds: dict[str, float | None] = field(default_factory=dict)
    longest: float = 0.0
    bytes: float = 0.0
    memory: float = 0.0
    compiling: float = 0.0
    notes: list[str] = field(default_factory=list)

    def only(self, stages: Sequence[str]) -> tuple[int, float, float, float]:
        """Of some stages: units, seconds of one core in all and of starting and watching, and seconds until the end.

        Examples
        --------
        >>> Estimate(Starting(0), {"describe": 1, "reduce": 1}, {"describe": 5.0, "reduce": None}).only(["describe"])
        (1, 6.32, 1.32, 6.32)
        """
        units, work = sum(self.units[stage] for stage in stages), sum(self.seconds[stage] or 0.0 for stage in stages)
        elapsed = self.starting.elapsed(units, work, min(self.longest, work))
        start = self.starting.seconds(units) + self.starting.watching(elapsed)
        return units, work + start, start, elapsed


@dataclass(frozen=True)
class _Law:
    """Seconds (or bytes) as a + b x, of two pieces."""

    a: float
    b: float

    @classmethod
    def of(cls, x: Sequence[float], y: Sequence[float]) -> _Law:
        b = max(0.0, (y[1] - y[0]) / (x[1] - x[0])) if x[1] > x[0] else 0.0
        return cls(max(0.0, sum(y) / 2 - b * sum(x) / 2), b)

    def __call__(self, x: float) -> float:
        return self.a + self.b * x


@dataclass
class _Pieces:
    """What two pieces of a kind of states have shown.

    Attributes
    ----------
    laws : of the stages that could be run
    size : bytes by particles in all frames
    largest : of these, in the larger piece
    per_byte : how many of these a byte of files has
    problems : why others could not be run
    loading : seconds that the first piece took longer than the same one once more, besides ...
    compiling : ... those of the compiler
    """

    laws: dict[str, _Law]
    size: _Law
    largest: float
    per_byte: float
    problems: dict[str, str]
    loading: float
    compiling: float


def estimate(sweep: Sweep, tell: Callable[[int, int], None] | None = None, workers: int = 0) -> Estimate:
    """What is not complete of a sweep, from two small pieces of each of its kinds of states, which are run now.

    Units of a stage take a + b x seconds, x being particle-steps of simulations, bytes of files and particles in all
    frames of the others; a and b are those of the pieces. Nothing is written into the sweep's store.

    Parameters
    ----------
    sweep : Sweep
        Of `read_sweep`.
    tell : callable, optional
        Called with the numbers of kinds that are done, and of all.
    workers : int, default 0
        Processes that are started for it; 0 is none, as with ``run_sweep(sweep)``.
    """
    found = Estimate(Starting(workers), dict.fromkeys(sweep.stages, 0), dict.fromkeys(sweep.stages, 0.0))
    done = _complete(sweep)
    kinds: dict[Any, list[State]] = {}
    for state in sweep.states:
        kinds.setdefault(_kind(state, sweep.settings[state.label]), []).append(state)
    for number, states in enumerate(kinds.values()):
        if tell is not None:
            tell(number, len(kinds))
        left = [state for state in states if any((state.label, stage) not in done for stage in state.units)]
        if left:
            with tempfile.TemporaryDirectory(prefix="glassdask-") as folder:
                pieces = _measure(left[0], sweep.settings[left[0].label], Path(folder))
            _add(found, sweep, left, done, pieces)
    # that of the pieces is in it; chunks of larger states grow until a task has as many bytes as it may
    found.memory += resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024.0 + found.starting.memory
    if found.units.get(SIMULATE):  # by another process, at least as large as this one was when it began
        found.memory += resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024.0
    return found


def _add(found: Estimate, sweep: Sweep, states: list[State], done: set[tuple[str, str]], pieces: _Pieces) -> None:
    """Add what the states of one kind take."""
    laws = pieces.laws
    found.compiling += pieces.compiling
    found.starting = replace(found.starting, loading=found.starting.loading + pieces.loading)
    found.notes += [f"{stage} of {states[0].model}: {text}" for stage, text in pieces.problems.items()]
    for state in states:
        settings, together = sweep.settings[state.label], 0.0
        steps, replicas, rows = _sizes(state, settings, pieces.per_byte)
        for stage in state.units:
            if (state.label, stage) in done:
                continue
            found.units[stage] += 1
            if stage not in laws:
                found.seconds[stage] = None
                continue
            seconds = laws[stage](steps if stage == SIMULATE else _bytes(settings[stage]) if stage in FILES else rows)
            if stage == SIMULATE:
                seconds += laws[stage].b * replicas + (laws["inherent"](rows) if "inherent" in laws else 0.0)
            known = found.seconds[stage]
            found.seconds[stage] = None if known is None else known + seconds
            together += seconds
        found.longest = max(found.longest, together)
        found.bytes += pieces.size(rows)
        more = INFLATED * pieces.size.b * max(0.0, rows - pieces.largest)
        found.memory = max(found.memory, min(float(task_bytes()), more))


def _measure(state: State, settings: Settings, folder: Path) -> _Pieces:
    """Run a piece for what is imported, loaded and compiled, the same once more, and a larger one."""
    x: dict[str, list[float]] = {}
    y: dict[str, list[float]] = {}
    sizes: list[tuple[float, float]] = []
    problems: dict[str, str] = {}
    took: dict[str, float] = {}
    per_byte, compiled = 0.0, 0.0
    for name, piece in (("warm", 0), ("small", 0), ("large", 1)):
        # what replicas take is what reading takes: they may start from a frame that no piece has
        asked = {stage: unit for stage, unit in state.units.items() if stage != REPLICAS}
        place = replace(state, path=str(folder / name), units=asked)
        start = cpu_seconds()
        own = {stage: stage_named(stage).joined(settings[stage], [place], [settings]) for stage in asked}
        with within_task(), compiling() as compilations:
            for stage, seconds, units in _begin(state, place, own, piece):
                if name != "warm":
                    x.setdefault(stage, []).append(units)
                    y.setdefault(stage, []).append(seconds)
            there = 0.0 if {SIMULATE, INGEST} & own.keys() else _stored(folder / name)
            shown = open_trajectory(place.path)
            rows = float(shown.sizes["frame"] * shown.sizes["particle"])
            if INGEST in own:
                per_byte = rows / _bytes(own[INGEST])
            for stage in [stage for stage in place.units if stage not in (SIMULATE, INGEST)]:
                begun = cpu_seconds()
                try:
                    if missing := [need for need in stage_named(stage).after(place, own) if need in problems]:
                        raise StoreError(f"it needs {missing[0]}")
                    stage_named(stage).run(_without_ensemble(place, own), own, False)
                except GlassdaskError as error:
                    problems[stage] = toml(" ".join(str(error).split()))
                    continue
                if name != "warm":
                    x.setdefault(stage, []).append(rows)
                    y.setdefault(stage, []).append(cpu_seconds() - begun)
        took[name] = cpu_seconds() - start
        compiled += sum(compilations)
        if name == "warm":
            took[name] -= compiled
        else:
            sizes.append((rows, _stored(folder / name) - there))
    laws = {stage: _Law.of(x[stage], y[stage]) for stage in x if len(x[stage]) == 2}
    if INGEST in laws:
        laws[REPLICAS] = laws[INGEST]
    size = _Law.of(*zip(*sizes))
    unknown = {stage: text for stage, text in problems.items() if stage not in laws}
    return _Pieces(laws, size, sizes[1][0], per_byte, unknown, max(0.0, took["warm"] - took["small"]), compiled)


def _begin(state: State, place: State, own: dict[str, Any], piece: int) -> list[tuple[str, float, float]]:
    """Make the trajectory of a piece; gives stage, seconds and size of what was done."""
    begun = cpu_seconds()
    if SIMULATE in own:
        own[SIMULATE] = recipe = _small(own[SIMULATE], piece)
        bare = replace(recipe, inherent=False)
        stage_named(SIMULATE).run(place, {**own, SIMULATE: bare}, False)
        found = [(SIMULATE, cpu_seconds() - begun, recipe.work)]
        if recipe.inherent:
            begun = cpu_seconds()
            stage_named(SIMULATE).run(place, own, False)
            shown = open_trajectory(place.path)
            found.append(("inherent", cpu_seconds() - begun, shown.sizes["frame"] * shown.sizes["particle"]))
        return found
    if INGEST in own:
        sources: Sources = own[INGEST]
        sizes = np.cumsum([os.path.getsize(path) for path in sources.paths])
        some = max(FRAMES[piece], int(np.searchsorted(sizes, BYTES[piece])) + 1)
        own[INGEST] = replace(sources, paths=sources.paths[:some], names=sources.names[:some])
        stage_named(INGEST).run(place, own, False)
        return [(INGEST, cpu_seconds() - begun, _bytes(own[INGEST]))]
    trajectory = open_trajectory(state.path)
    some = max(FRAMES[piece], math.ceil(ROWS[piece] / trajectory.sizes["particle"]))
    save_trajectory(trajectory.isel(frame=slice(0, some)), place.path)
    return []


def _small(recipe: Recipe, piece: int) -> Recipe:
    """A short simulation of few particles by the same protocol, without an ensemble."""
    simulation = recipe.simulation
    *before, last = simulation.stages
    start, dt, blocks = simulation.start, simulation.step, BLOCKS[piece]
    if isinstance(start, RandomStart):
        start = replace(start, n_particles=min(start.n_particles, LARGEST))
    steps = max(100.0, STEPS[piece] / getattr(start, "n_particles", LARGEST)) / len(before)
    short: list[Any] = [replace(stage, **_lasting(stage, steps, dt)) for stage in before]
    assert isinstance(last, Dynamics | SwapMonteCarlo)  # the production
    interval = max(10, last.between + 2)
    made_of = _lasting(last, blocks * interval, dt)
    if last.every is not None:
        made_of["every"] = interval if isinstance(last, SwapMonteCarlo) else interval * dt
    short.append(replace(last, **made_of))
    made: Simulation = replace(simulation, stages=tuple(short), start=start)
    return replace(recipe, simulation=made, ensemble=None)


def _lasting(stage: Any, steps: float, timestep: float) -> dict[str, Any]:
    """How long a stage of so many steps is, in its own words."""
    return {"sweeps": round(steps)} if isinstance(stage, SwapMonteCarlo) else {"time": steps * timestep}


def _sizes(state: State, settings: Settings, per_byte: float) -> tuple[float, float, float]:
    """Particle-steps of the simulation and of its replicas, and particles in all frames, of a state."""
    if SIMULATE in settings:
        recipe: Recipe = settings[SIMULATE]
        simulation = recipe.simulation
        n = float(getattr(simulation.start, "n_particles", 1))
        alone = replace(recipe, ensemble=None).work
        return alone, recipe.work - alone, n * (simulation.operations(0, False)[1] or 0)
    if INGEST in settings:
        return 0.0, 0.0, _bytes(settings[INGEST]) * per_byte
    frames, n = next(info.shape for info in arrays(Path(state.path)) if info.name == "position")[:2]
    return 0.0, 0.0, float(frames * n)


def _bytes(files: Sources | Ensemble) -> float:
    """Of the files of a state, or of its replicas."""
    paths = files.paths if isinstance(files, Sources) else [path for each in files.paths for path in each]
    return float(sum(os.path.getsize(str(path)) for path in paths))


def _without_ensemble(place: State, own: Settings) -> State:
    """The state with units that store what the stages of a piece store."""
    units = {
        stage: replace(unit, groups=tuple(stage_named(stage).groups(place, own))) for stage, unit in place.units.items()
    }
    return replace(place, units=units)


def _kind(state: State, settings: Settings) -> Any:
    """What states have in common that take the same per particle and step."""
    recipe = settings.get(SIMULATE)
    n = getattr(recipe.simulation.start, "n_particles", 0) if recipe is not None else 0
    return state.model, state.density, n, tuple(settings), INGEST in settings


def _stored(path: Path) -> float:
    return float(sum(file.stat().st_size for file in path.rglob("*") if file.is_file()))


def _complete(sweep: Sweep) -> set[tuple[str, str]]:
    """Units that are done already."""
    try:
        records.read_description(sweep.store)
    except StoreError:
        return set()
    found = progress.standings(Path(sweep.store), sweep.states)
    return {
        (state.label, stage)
        for state, units in zip(sweep.states, found)
        for stage, standing in units.items()
        if standing.status == progress.COMPLETE
    }
