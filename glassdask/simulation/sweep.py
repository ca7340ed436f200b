"""A sweep over models, temperatures, densities and seeds from one TOML file.

store = "sweep.zarr"            # beside the file, unless absolute
seeds = [1, 2]                  # optional

[protocol]                      # for all runs; a run may give any of these itself
particles = 2000
melt = 2.0                      # temperature of the melt ...
melt_time = 40.0                # ... and how long it is held
rate = 1e-3                     # of cooling, temperature per time
equilibrate = 1000.0            # time
produce = 2000.0                # time
every = 100.0                   # between frames
between = 0                     # frames at logarithmic lags in between
ensemble = "nvt"                # of the production
inherent = true                 # minimise every frame, too
replicas = 0                    # isoconfigurational runs from the last frame ...
lags = [0.1, 1.0, 10.0]         # ... and when displacements are measured

[[runs]]
model = "kob_andersen"
temperatures = [0.6, 0.5, 0.45]
densities = [1.2]               # optional
"""

from __future__ import annotations

import hashlib
import itertools
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dask
from dask.delayed import Delayed

from glassdask.errors import GlassdaskError, ParameterError
from glassdask.simulation.eam import copper_zirconium
from glassdask.simulation.models import MODELS, Model
from glassdask.simulation.protocols import Dynamics, Isoconfigurational, RandomStart, Simulation, StoredStart, quench
from glassdask.simulation.tasks import inherent_structures, isoconfigurational, simulate

DEFAULTS: dict[str, Any] = {
    "particles": None,
    "melt": None,
    "melt_time": None,
    "rate": None,
    "equilibrate": None,
    "produce": None,
    "every": None,
    "between": 0,
    "ensemble": "nvt",
    "pressure": None,
    "inherent": False,
    "replicas": 0,
    "lags": (),
    "keep": False,
    "potential": None,
}
REQUIRED = ("model", "temperatures", "particles", "melt", "melt_time", "rate", "equilibrate", "produce")


@dataclass(frozen=True)
class StatePoint:
    """One trajectory of a sweep, and what is derived from it.

    The inherent structures go to ``PATH/inherent``, an isoconfigurational ensemble to ``PATH/isoconfigurational``.
    """

    path: str
    temperature: float
    simulation: Simulation
    inherent: bool = False
    ensemble: Isoconfigurational | None = None

    def tasks(self, *, overwrite: bool = False) -> list[Delayed]:
        """The tasks of this state point, whose values are the paths of the stores."""
        trajectory = simulate(self.simulation, self.path, overwrite=overwrite)
        tasks = [trajectory]
        if self.inherent:
            path = f"{self.path}/inherent"
            model = self.simulation.model
            tasks.append(inherent_structures(model, self.path, path, overwrite=overwrite, after=trajectory))
        if self.ensemble is not None:
            path = f"{self.path}/isoconfigurational"
            tasks.append(isoconfigurational(self.ensemble, path, overwrite=overwrite, after=trajectory))
        return tasks


def read_sweep(file: str | Path) -> list[StatePoint]:
    """The state points that a TOML file asks for.

    Their stores are ``STORE/MODEL/T=...``, with a level ``rho=...`` before and ``seed=...`` after where the file names
    densities and seeds. Every state point has random numbers of its own, made of its seed and its path.

    Raises
    ------
    ParameterError
        The file cannot be read, or a key is missing or unknown.
    """
    path = Path(file)
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ParameterError(f"{path}: cannot be read as TOML ({error}): correct the file") from None
    _check_keys(path, content, ("store", "seeds", "protocol", "runs"))
    shared = content.get("protocol", {})
    _check_keys(path, shared, tuple(DEFAULTS))
    points = []
    for run in content.get("runs", []):
        _check_keys(path, run, ("model", "temperatures", "densities", *DEFAULTS))
        settings = {**DEFAULTS, **shared, **run}
        absent = [name for name in REQUIRED if settings.get(name) is None]
        if absent:
            raise ParameterError(f"{path}: a run lacks {', '.join(absent)}: add it there or under [protocol]")
        model = _model(path, settings)
        for density, temperature, seed in itertools.product(
            run.get("densities", [None]), run["temperatures"], content.get("seeds", [None])
        ):
            levels = [model.name, *([] if density is None else [f"rho={density:.4f}"]), f"T={temperature:.4f}"]
            levels += [] if seed is None else [f"seed={seed}"]
            store = (path.parent / content.get("store", f"{path.stem}.zarr")) / "/".join(levels)
            points.append(_state_point(str(store), "/".join(levels), model, density, temperature, seed or 0, settings))
    repeated = {point.path for point in points if sum(other.path == point.path for other in points) > 1}
    if not points or repeated:
        found = f"{min(repeated)} is asked for twice" if repeated else "no [[runs]] with temperatures"
        raise ParameterError(f"{path}: {found}: correct the file")
    return points


def _check_keys(path: Path, table: dict[str, Any], known: tuple[str, ...]) -> None:
    unknown = sorted(set(table) - set(known))
    if unknown:
        raise ParameterError(f"{path}: unknown {', '.join(unknown)}: expected some of {', '.join(known)}")


def _model(path: Path, settings: dict[str, Any]) -> Model:
    name = settings["model"]
    if name == "copper_zirconium":
        return copper_zirconium(str(path.parent / (settings["potential"] or "")))
    if name not in MODELS:
        raise ParameterError(f"{path}: no model {name!r}: choose one of {', '.join([*MODELS, 'copper_zirconium'])}")
    return MODELS[name]


def _state_point(
    store: str, label: str, model: Model, density: float | None, temperature: float, seed: int, settings: dict[str, Any]
) -> StatePoint:
    own_seed = int.from_bytes(hashlib.sha256(f"{seed} {label}".encode()).digest()[:4], "big")
    ensemble, pressure = settings["ensemble"], settings["pressure"]
    # at a given pressure the density is found while the system is prepared
    prepare: dict[str, Any] = {"ensemble": "nvt" if pressure is None else "npt", "pressure": pressure}
    simulation = Simulation(
        model=model,
        start=RandomStart(n_particles=settings["particles"], density=density),
        stages=(
            Dynamics(time=settings["melt_time"], temperature=settings["melt"]),
            quench(settings["melt"], temperature, settings["rate"], **prepare),
            Dynamics(time=settings["equilibrate"], temperature=temperature, **prepare),
            Dynamics(
                time=settings["produce"],
                temperature=temperature,
                ensemble=ensemble,
                pressure=pressure if ensemble == "npt" else None,
                every=settings["every"],
                between=settings["between"],
            ),
        ),
        seed=own_seed,
    )
    replicas = None
    if settings["replicas"]:
        replicas = Isoconfigurational(
            model=model,
            start=StoredStart(path=store),
            temperature=temperature,
            lags=tuple(settings["lags"]),
            replicas=settings["replicas"],
            seed=own_seed,
            keep=settings["keep"],
        )
    return StatePoint(store, temperature, simulation, settings["inherent"], replicas)


def sweep_tasks(file: str | Path, *, overwrite: bool = False) -> list[Delayed]:
    """All tasks of a sweep, to be computed by any scheduler: ``dask.compute(*sweep_tasks("sweep.toml"))``.

    The same call goes on where an earlier one was killed.
    """
    return [task for point in read_sweep(file) for task in point.tasks(overwrite=overwrite)]


def run_sweep(
    points: Sequence[StatePoint],
    client: Any = None,
    *,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> dict[str, Exception]:
    """Run all tasks of some state points; one that fails does not stop the others.

    Parameters
    ----------
    points : of `read_sweep`
    client : a `distributed.Client`; without one the state points run one after the other in this process
    overwrite : replace what is stored with other parameters
    progress : called with the numbers of finished and of all state points

    Returns
    -------
    dict
        The first error of each state point that failed, by its path; empty when all is stored.
    """
    failed: dict[str, Exception] = {}
    if client is None:
        for done, point in enumerate(points, start=1):
            try:
                dask.compute(*point.tasks(overwrite=overwrite), scheduler="synchronous")
            except (GlassdaskError, OSError) as error:
                failed[point.path] = error
            if progress is not None:
                progress(done, len(points))
        return failed
    from distributed import as_completed

    futures = {future: p.path for p in points for future in client.compute(p.tasks(overwrite=overwrite))}
    waiting = Counter(futures.values())
    for future in as_completed(list(futures)):
        path = futures[future]
        if future.status == "error":
            failed.setdefault(path, future.exception())
        waiting[path] -= 1
        if progress is not None:
            progress(sum(not left for left in waiting.values()), len(points))
    return failed
