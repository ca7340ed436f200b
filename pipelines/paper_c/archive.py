"""Cooling runs and a propensity that come with the pipeline, in `pipelines/data`: positions as `configurations` packs.

These are off by at most half of a 65536th of the box, 3e-4 of a particle: nothing to an image, a Voronoi cell or the
start of a run. Runs are kept in the order of their numbers, and only such as were made as `Sizes` says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import configurations
import dask
import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.errors import ParameterError
from paper_c.published import System
from paper_c.sources import Sizes

FOLDER = Path(__file__).parents[1] / "data"
NAMES = ("particles", "cycles", "descent", "rate", "melt", "hold")  # of the sizes, what a run is made of


def file_of(system: System, sizes: Sizes) -> Path:
    """Where the cooling runs of a rate, and of a time at T_L, are kept."""
    return FOLDER / f"cooling_{system.name}_rate{sizes.rate:g}_hold{sizes.hold:g}.npz"


def files(system: System) -> list[Path]:
    """The kept runs of all rates."""
    return sorted(FOLDER.glob(f"cooling_{system.name}_rate*.npz"))


def made(system: System, sizes: Sizes) -> dict[str, Any]:
    """What a kept run depends on besides its number, which is its seed."""
    temperatures = {"model": system.name, "liquid": system.liquid, "glass": system.glass}
    return temperatures | {name: getattr(sizes, name) for name in NAMES}


def kept(system: System, sizes: Sizes) -> int:
    """Number of runs, from the first, that need not be simulated."""
    file = file_of(system, sizes)
    if not file.exists():
        return 0
    with np.load(file) as data:
        return len(data["fraction"]) if json.loads(str(data["made"])) == made(system, sizes) else 0


def pack(system: System, sizes: Sizes, stores: Sequence[Path]) -> Path:
    """Keep the first cooling runs; the file that is written."""
    first = gd.open_trajectory(stores[0]).isel(frame=0)
    fractions = []
    for store in stores:
        run = gd.open_trajectory(store)
        fractions.append(configurations.fractions(run["position"].values, run["box"].values))
    file = file_of(system, sizes)
    FOLDER.mkdir(exist_ok=True)
    np.savez_compressed(
        file, fraction=np.array(fractions), box=first["box"].values, species=first["species"].values.astype("U"),
        made=json.dumps(made(system, sizes)),
    )  # fmt: skip
    return file


def unpacking_tasks(system: System, sizes: Sizes, stores: Sequence[Path]) -> list[Any]:
    """Kept runs into stores, one task each; their value is the path."""
    file = str(file_of(system, sizes))
    return [dask.delayed(_unpack, pure=True)(file, k, str(store)) for k, store in enumerate(stores)]


def _unpack(file: str, number: int, store: str) -> str:
    gd.save_trajectory(next(trajectories(Path(file), number)), store)
    return store


def trajectories(file: Path, first: int = 0) -> Iterator[xr.Dataset]:
    """The kept runs from one on: liquids and glasses in turn."""
    with np.load(file) as data:
        for fraction in data["fraction"][first:]:
            position = configurations.positions(fraction, data["box"])
            yield gd.from_arrays(position, species=data["species"], box=data["box"])


def pack_motion(
    system: System, start: xr.Dataset, temperature: float, lag: np.ndarray, displacement: np.ndarray, rate: float
) -> Path:
    """Keep displacements (replica, lag, particle, space) of runs from one glass, in half precision."""
    file = FOLDER / f"propensity_{system.name}_T{temperature:g}.npz"
    np.savez_compressed(
        file, fraction=configurations.fractions(start["position"].values, start["box"].values), lag=lag,
        box=start["box"].values[0], species=start["species"].values.astype("U"), temperature=temperature, rate=rate,
        displacement=displacement.astype(np.float16),
    )  # fmt: skip
    return file


def _motion_files(system: System) -> list[Path]:
    """The kept runs from one glass, a file for each temperature."""
    return sorted(FOLDER.glob(f"propensity_{system.name}_T*.npz"))


def ensembles(system: System) -> dict[float, int]:
    """Number of kept runs from one glass by temperature."""
    found: dict[float, int] = {}
    for file in _motion_files(system):
        with np.load(file) as data:
            found[float(data["temperature"])] = len(data["displacement"])
    return found


def motions(system: System, folder: Path) -> tuple[Path, float, dict[float, xr.DataArray]] | None:
    """Kept runs from one glass: its store, the rate of its cooling, displacements by temperature; None if none are."""
    store = folder / system.name / "kept-glass.zarr"
    moved: dict[float, xr.DataArray] = {}
    rate = np.nan
    for file in _motion_files(system):
        with np.load(file) as data:
            if not moved:
                first, rate = data["fraction"], float(data["rate"])
                position = configurations.positions(first, data["box"])
                gd.save_trajectory(gd.from_arrays(position, species=data["species"], box=data["box"]), store)
            elif not np.array_equal(first, data["fraction"]):
                raise ParameterError(f"{file}: these runs begin in another glass than those of the other temperatures")
            moved[float(data["temperature"])] = xr.DataArray(
                data["displacement"].astype(np.float64),
                dims=("replica", "lag", "particle", "space"),
                coords={"lag": data["lag"]},
            )
    return (store, rate, moved) if moved else None


def sizes_of(file: Path) -> dict[str, Any]:
    """The sizes of kept runs, their number among them, as changes of `Sizes`."""
    with np.load(file) as data:
        described = json.loads(str(data["made"]))
        return {name: described[name] for name in NAMES} | {"runs": len(data["fraction"])}
