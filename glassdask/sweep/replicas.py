"""The stage *replicas*: isoconfigurational runs that exist as files, and the propensity for motion of each particle."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from glassdask.code import digest
from glassdask.declarations import Declaration, plain
from glassdask.errors import SchemaError, StoreError
from glassdask.graphs import compute
from glassdask.neighborhood.boxes import mean_spacing
from glassdask.store.groups import is_group, remove_group
from glassdask.sweep.stage import Stage
from glassdask.sweep.state import ENSEMBLE, Settings, State, naming
from glassdask.variables import annotated

REPLICAS = "replicas"
PLACE, _, NAME = ENSEMBLE.split("/")
HEAD = 512  # bytes of a file by which it is known
SAME = 1e-3  # of the mean spacing: files have few digits
LAGS = 1e-6  # of the longest lag


@dataclass(frozen=True, kw_only=True)
class Ensemble(Declaration):
    """The files of the replicas of one state, and how they are read.

    Attributes
    ----------
    paths : of the files of each replica
    names : the same, as seen from the folder of the sweep's file
    settings : arguments of `glassdask.ingest`
    """

    paths: tuple[tuple[str, ...], ...]
    names: tuple[tuple[str, ...], ...]
    settings: dict[str, Any]


class Replicas(Stage):
    """What a simulated sweep has of its replicas: the start, and the mean distances from it; see `Ensemble`."""

    name = REPLICAS
    table = Ensemble
    needs = ("ingest",)

    def groups(self, state: State, settings: Settings) -> list[str]:
        """The ensemble below the state."""
        return [ENSEMBLE]

    def identity(self, own: Ensemble) -> Any:
        """How they are read, and all files by their names, sizes and beginnings: they may be too many to be read."""
        return [digest(*self.computing(own)), plain(own.settings), plain(own.names), _all_seen(own)]

    def computing(self, own: Any) -> tuple[Any, ...]:
        """What averages them."""
        return (f"{__name__}:measured",)

    def run(self, state: State, settings: Settings, overwrite: bool) -> None:
        """One replica after the other is read, in memory; nothing of it is kept but its part in the averages."""
        from glassdask.store import save_trajectory
        from glassdask.store.derived import derive

        own: Ensemble = settings[self.name]
        start, found = measured(own, state.path)
        place = f"{state.path}/{PLACE}"
        save_trajectory(start, place, overwrite=overwrite)
        # all that the numbers depend on: those of other files, which were to be overwritten, are not taken for these
        parameters = {"files": plain(own.names), "settings": plain(own.settings), "seen": _all_seen(own)}
        derive(place, NAME, lambda: found, f"{__name__}:measured", parameters, overwrite=overwrite)


def _all_seen(own: Ensemble) -> list[Any]:
    return [[_seen(path) for path in paths] for paths in own.paths]


def _seen(path: str) -> list[Any]:
    return [os.path.getsize(path), beginning_of(path)]


def beginning_of(path: str) -> str:
    """The checksum of the first bytes of a file, by which it is known without being read."""
    with open(path, "rb") as stream:
        return hashlib.sha256(stream.read(HEAD)).hexdigest()


def remove_ensemble(path: str) -> None:
    """Take away an ensemble of frames that are written anew."""
    if is_group(f"{path}/{PLACE}"):
        remove_group(f"{path}/{PLACE}")


def measured(own: Ensemble, path: str) -> tuple[xr.Dataset, xr.Dataset]:
    """The frame that the replicas start from, and ``propensity`` (power, lag, particle) of them.

    Raises
    ------
    SchemaError
        They start from no frame of the trajectory at `path`, or do not have the same lags and particles.
    """
    from glassdask.store import open_trajectory

    trajectory = open_trajectory(path)
    first, *others = zip(own.names, own.paths)
    with naming(first[0][0]):
        begin, lags, total = _replica(first[1], own.settings)
        start = _frame_like(begin, trajectory)
    for names, paths in others:
        with naming(names[0]):
            begin, lag, sums = _replica(paths, own.settings)
            if len(lag) != len(lags) or np.abs(lag - lags).max(initial=0.0) > LAGS * lags[-1]:
                raise SchemaError(f"its lags {_shown(lag)} are not those of {own.names[0][0]}, {_shown(lags)}")
            away = _away(begin, start)
            if away > SAME * mean_spacing(trajectory):
                raise SchemaError(f"begins elsewhere than {own.names[0][0]}, {away:.3g} away: all begin with one frame")
            total += sums
    values = (("power", "lag", "particle"), total / len(own.paths), {"units": "length^power"})
    found = xr.Dataset({"propensity": values}, coords={"power": [1, 2], "lag": lags})
    return start, annotated(found.assign_attrs(replicas=len(own.paths)))


def _replica(paths: tuple[str, ...], settings: Mapping[str, Any]) -> tuple[xr.Dataset, np.ndarray, np.ndarray]:
    """The first frame of a run, its lags, and |r(t) - r(0)| and |r(t) - r(0)|^2 (power, lag, particle)."""
    from glassdask.dynamics import displacements
    from glassdask.io import ingest
    from glassdask.store import open_trajectory

    with tempfile.TemporaryDirectory(prefix="glassdask-") as folder:
        ingest(list(paths), f"{folder}/replica.zarr", **settings)
        run = open_trajectory(f"{folder}/replica.zarr")
        if "time" not in run or run.sizes["frame"] < 2:
            raise SchemaError("has no times, or one frame only: two or more, and `dt=0.005` or whatever a step is")
        moved, begin = compute(displacements(run), run.isel(frame=[0]))
    square = (moved.isel(frame=slice(1, None)) ** 2).sum("space").values
    time = np.asarray(run["time"].values, dtype=np.float64)
    return begin, time[1:] - time[0], np.stack([np.sqrt(square), square])


def _frame_like(begin: xr.Dataset, trajectory: xr.Dataset) -> xr.Dataset:
    """The frame of the trajectory that a replica begins with, as it is stored there."""
    for name in ("species", "id"):
        both = name in begin and name in trajectory
        if both and not np.array_equal(begin[name].values, trajectory[name].values):
            raise SchemaError(f"the {name} of its particles are not those of the trajectory")
    nearest = np.inf
    for frame in range(trajectory.sizes["frame"] - 1, -1, -1):  # usually the last
        one: xr.Dataset = compute(trajectory.isel(frame=[frame]))[0]
        away = _away(begin, one)
        if away <= SAME * mean_spacing(trajectory):
            return one
        nearest = min(nearest, away)
    raise StoreError(
        f"begins with no frame of the trajectory (in the nearest one a particle is {nearest:.3g} away): write the "
        "frame that the replicas start from as the first of each, and among those of the trajectory"
    )


def _away(one: xr.Dataset, other: xr.Dataset) -> float:
    """The largest distance between the same particles of two frames, the short way round."""
    if one.sizes["particle"] != other.sizes["particle"] or one.sizes["space"] != other.sizes["space"]:
        raise SchemaError(f"has {one.sizes['particle']} particles, expected {other.sizes['particle']}")
    box = other["box"].values[0]
    fraction = (one["position"].values[0] - other["position"].values[0]) @ np.linalg.inv(box)
    return float(np.linalg.norm((fraction - np.rint(fraction)) @ box, axis=-1).max())


def _shown(lags: np.ndarray) -> str:
    return f"{lags[0]:.6g} to {lags[-1]:.6g} ({len(lags)})"
