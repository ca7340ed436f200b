"""Subcommand compile: all kernels at once, so that nobody watches the compiler later."""

from __future__ import annotations

import inspect
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import typer

from glassdask.cli.options import Quiet, progress_bar

app = typer.Typer()
WORKS = 121  # how many `_works` are, for the progress bar
# Of our descriptors, those parameters that they need and that are not measured.
PARAMETERS: dict[str, dict[str, Any]] = {
    "ace": {"r_cut": 2.0, "degree": 4}, "acsf": {"r_cut": 1.5, "radial": [[1.0, 1.0]], "angular": [[1.0, 2, 1.0]]},
    "ackland_jones": {}, "bo": {}, "bond_angles": {}, "centrosymmetry": {}, "common_neighbors": {"output": "pairs"},
    "coordination": {"gamma": 8}, "cubatic": {}, "dihedral_angles": {}, "hexatic": {}, "ld": {},
    "lfs": {"signature": [0, 0, 12]}, "local_energy": {"model": "kob_andersen"},
    "local_yield_stress": {"model": "kam_2d", "radius": 0.5, "directions": 1, "increment": 0.3},
    "minkowski": {}, "nematic": {}, "pair_entropy": {"r_max": 1.5},
    "radial_density": {"grid": [1.0, 1.5]}, "rbo": {"grid": [1.0, 1.5]}, "rings": {"max_size": 6}, "sbo": {},
    "soap": {"r_cut": 1.6, "n_max": 2, "l_max": 2, "sigma": 0.2}, "solid_liquid": {}, "tcc": {}, "tetrahedrality": {},
    "theta": {}, "third_order": {"averaged": True}, "topological_clusters": {}, "voronoi": {}, "warren_cowley": {},
}  # fmt: skip


@app.command(name="compile")
def compile_kernels(quiet: Quiet = False) -> None:
    """Compile all kernels, a minute or two of one core, so that no later command has to.

    They are kept where NUMBA_CACHE_DIR says, beside the installed package, or in ~/.cache/glassdask, and found there by
    every process of the same kind of processor: run it once after an installation, and when an image is built.
    """
    from glassdask.errors import StoreError
    from glassdask.graphs import within_task
    from glassdask.kernels import cache

    if cache.FOLDER is None:
        raise StoreError("no folder can be written where compiled kernels are kept: set NUMBA_CACHE_DIR to one")
    begun = time.process_time()
    # one after the other: two threads that compile wait for each other
    with within_task(), progress_bar("compile", quiet) as progress:
        works = _works()
        for done, work in enumerate(works, start=1):
            work()
            if progress is not None:
                progress(done, WORKS)
    (cache.FOLDER / cache.FILLED).write_text(cache.processor())
    print(f"{len(list(cache.FOLDER.glob('*.nbc')))} kernels in {cache.FOLDER}, {time.process_time() - begun:.0f} s")


def _swap(form: Any) -> None:
    """One sweep of swap Monte Carlo over two particles."""
    import numpy as np

    from glassdask.simulation import PolydisperseModel
    from glassdask.simulation.instance import Frame
    from glassdask.simulation.sample import Sample

    sample = Sample(PolydisperseModel(name="two", density=1.0, form=form))
    sample.load(Frame(np.eye(3)[:2], np.zeros(2, int), 9.0 * np.eye(3), diameter=np.array([0.9, 1.1])))
    sample.sweep(np.random.default_rng(1), 1.0, 0.1, 0.5)


def _works() -> Iterator[Callable[[], Any]]:
    """Small work that uses every kernel as the commands and the public functions do."""
    import numpy as np

    import glassdask as gd
    from glassdask import dynamics
    from glassdask.descriptors import registry
    from glassdask.dynamics import quantities
    from glassdask.errors import BoxError, ParameterError
    from glassdask.graphs import compute

    rng = np.random.default_rng(1)

    def liquid(dimension: int, n_frames: int = 4, names: tuple[str, str] = ("A", "B")) -> Any:
        n, length = 300, (300 / 1.1) ** (1 / dimension)
        steps = rng.normal(scale=0.05, size=(n_frames, n, dimension)).cumsum(axis=0)
        position = rng.random((n, dimension)) * length + steps
        size = np.where(np.arange(n) % 3 == 0, 0.9, 1.0)
        return gd.from_arrays(
            position, species=np.where(size < 1, *names[::-1]), box=[length] * dimension, diameter=size,
            time=np.arange(n_frames) * 1.0, image=np.zeros(position.shape, int),
        )  # fmt: skip

    def now(*lazy: Any) -> Callable[[], Any]:
        return partial(compute, *lazy)

    measured: Any = {"cutoffs": lambda: 1.4, "diameters": lambda: {"A": 1.0, "B": 0.9}}
    others: dict[str, Any] = {
        "nearest": gd.BondOrder(neighbors=gd.KNearest(6)),
        "sann": gd.BondOrder(neighbors=gd.SANN()),
        "modified": gd.BondOrder(neighbors=gd.ModifiedVoronoi(1.4)),
    }
    others["adaptive"] = gd.CommonNeighbors()
    others["lists"] = gd.CommonNeighbors(neighbors=gd.SANN())
    others["diagonal"] = gd.SOAP(r_cut=1.6, n_max=2, l_max=2, sigma=0.2, spectrum="diagonal")
    for dimension in (3, 2):
        trajectory = liquid(dimension)
        first = trajectory.isel(frame=[0])
        made = {name: registry.make(name, values, measured) for name, values in PARAMETERS.items()}
        for name, descriptor in {**made, **others}.items():
            with suppress(BoxError, ParameterError):  # some are of three dimensions only
                yield now(gd.describe(first, {name: descriptor}))
        size = {"A": 1.0, "B": 0.9}
        values = gd.describe(first, [gd.Coordination(cutoffs=1.4)])["coordination"]
        yield partial(gd.radial_distribution, trajectory)
        yield partial(gd.radial_distribution, first.assign(periodic=("axis", [False] * dimension)))
        yield partial(gd.structure_factor, trajectory, k_max=8.0)
        yield partial(gd.bond_angle_distribution, first, 1.4)
        grid = gd.to_grid(first, 16, size)
        yield now(gd.clusters(values > 3, first, cutoffs=1.4), gd.clusters(first, neighbors=gd.KNearest(6)))
        yield now(gd.coarse_grain(values, first, 1.0), gd.average_shells(values, first), grid)
        yield now(gd.from_grid(grid, first, size), gd.spatial_correlation(values, first, r_max=1.5))
        for name, quantity in quantities.QUANTITIES.items():
            takes = inspect.signature(quantity).parameters
            given = {"k": 6.0, "a": 0.3, "lag": 1.0, "lags": [1.0], "distance": 1.0, "cutoffs": 1.4}
            given |= {"window": 2.0, "threshold": 0.1}
            if name not in ("vacf", "spectrum", "currents", "skw", "stress"):  # without kernels of their own
                yield partial(quantity, trajectory, **{key: given[key] for key in given if key in takes})
        without = trajectory.drop_vars("image")
        yield partial(dynamics.self_correlations, without, k=6.0, cage=1.4)
        yield now(dynamics.d2min(first, trajectory.isel(frame=[1]), 1.5), dynamics.hops(trajectory, 2.0, 0.1))
    first = liquid(3, 1)
    yield partial(dynamics.propensity, dynamics.replica_displacements(np.zeros((1, 3)), np.ones((2, 1, 3))))
    yield now(dynamics.cage_positions(first, "kob_andersen", 0.5, sweeps=2, burn_in=1))
    yield now(gd.describe(liquid(3, 1, ("Si", "O")), [registry.make("local_energy", {"model": "silica"})]))
    fcc = np.argwhere(np.indices((4, 4, 4)).sum(axis=0) % 2 == 0)  # more than three faces meet in a corner
    yield now(gd.describe(gd.from_arrays([fcc], species=["A"] * 32, box=[4.0] * 3), [gd.VoronoiCell()]))
    apart = gd.from_arrays([1.2 * fcc], species=["A"] * 32, box=[4.8] * 3)  # near each other they fly away
    yield now(*(dynamics.motion_from_rest(apart, model, [0.01]) for model in ("kob_andersen", "kob_andersen_smooth")))
    dimer = gd.from_arrays([[[1.0, 1.0], [2.1, 1.0]]], species=["A", "A"], box=[9.0, 9.0])
    yield partial(gd.simulation.hessian, "kam_2d", dimer)
    yield partial(gd.simulation.lowest_modes, "kam_2d", dimer, 1)
    yield from (
        partial(_swap, gd.simulation.InversePower(epsilon=1.0, sigma=1.0, n=n, cutoff=1.2)) for n in (12.0, 9.0)
    )
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "liquid.lammpstrj")
        yield partial(gd.export, liquid(3), file)
        yield partial(gd.ingest, file, file.with_suffix(".zarr"))
