"""Small files of inherent structures and of who moved, so that long simulations need not be run again to learn from.

A file is one .npz of one system and activation, its configurations packed as by `configurations.pack` (off by some 1e-4
of a diameter, far below what any descriptor sees), activities as 32-bit floats. A *reading* is one way to measure who
moved: the time, D2min (its radius, the sum over neighbours or their mean) or the propensity, and over how many runs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import configurations
import numpy as np
import xarray as xr

import glassdask as gd
from glassdask.dynamics import propensity, replica_d2min
from glassdask.errors import ParameterError
from glassdask.files import replacing
from paper_b.activity import RADIUS, Activity, window, windows
from paper_b.published import DATA

RADII = (1.5, 2.0, 2.5, 3.0)
SHEARED = (1.5, 2.0, 2.5)  # radii in shear
FEWER = (1, 2, 4, 8, 16)  # runs of an isoconfigurational ensemble


def file_of(system: str, activation: str) -> Path:
    """Where a kept sample lies."""
    return DATA / f"{activation}_{system}.npz"


def reading(
    *, lag: float | None = None, radius: float | None = None, mean: bool = False, runs: int | None = None
) -> str:
    """The name of a reading; the propensity where there is no radius.

    >>> reading(lag=4120, radius=2.5), reading(lag=30, radius=1.5, mean=True), reading(lag=30, radius=2.5, runs=4)
    ('lag 4120, D2min 2.5', 'lag 30, D2min 1.5 a neighbour', 'lag 30, D2min 2.5, 4 runs')
    >>> reading(lag=4120), reading(radius=2.5)
    ('lag 4120, propensity', 'D2min 2.5')
    """
    what = "propensity" if radius is None else f"D2min {radius:g}{' a neighbour' if mean else ''}"
    parts = [
        "" if lag is None else f"lag {lag:g}",
        what,
        "" if runs is None else f"{runs} run{'s' if runs > 1 else ''}",
    ]
    return ", ".join(part for part in parts if part)


def one_run(name: str) -> str:
    """The same reading of a single run.

    >>> one_run("lag 30, D2min 2.5")
    'lag 30, D2min 2.5, 1 run'
    """
    return f"{name}, 1 run"


@dataclass(frozen=True)
class Sample:
    """Configurations, all of the same particles, and the activity of those of type A in some readings.

    `configurations` is a trajectory of the schema, `group` (frame,) numbers independent ones, `activity` maps a reading
    to an array (frame, particle of type A), NaN in configurations of which it is not known. `main` is the reading that
    the pipeline takes.
    """

    configurations: xr.Dataset
    group: np.ndarray
    activity: Mapping[str, np.ndarray]
    main: str
    origin: str

    def known(self, name: str) -> np.ndarray:
        """Positions of the configurations of which a reading is known."""
        if name not in self.activity:
            raise ParameterError(f"reading {name!r}: the sample has {', '.join(self.activity)}")
        return np.flatnonzero(np.isfinite(self.activity[name]).any(axis=1))

    @property
    def majority(self) -> np.ndarray:
        """Whether a particle is of type A (particle,)."""
        return np.asarray(self.configurations["species"].values == "A")

    def activities(self, name: str, beside: str | None = None) -> list[Activity]:
        """What `activity.balanced` takes, for one reading; `beside` is the reading that D2min is correlated with."""
        found = []
        for k in self.known(name):
            values, other = (self._of_all(which, k) if which else None for which in (name, beside))
            assert values is not None
            found.append(Activity(self.configurations.isel(frame=[k]), values, int(self.group[k]), values, other))
        return found

    def _of_all(self, name: str, k: int) -> np.ndarray:
        values = np.full(self.configurations.sizes["particle"], np.nan)
        values[self.majority] = self.activity[name][k]
        return values

    def write(self, path: Path) -> None:
        """Write the file."""
        with replacing(path) as stream:
            np.savez_compressed(
                stream,
                **configurations.columns(self.configurations),
                group=np.asarray(self.group, np.int16),
                reading=np.array(list(self.activity)),
                activity=np.stack([np.asarray(values, np.float32) for values in self.activity.values()]),
                main=self.main,
                origin=self.origin,
            )


def read(path: Path) -> Sample:
    """Read a file that `Sample.write` has written."""
    with np.load(path, allow_pickle=False) as file:
        activity = dict(zip(file["reading"].tolist(), file["activity"].astype(float)))
        return Sample(
            configurations.trajectory_of(file),
            file["group"].astype(int),
            activity,
            str(file["main"]),
            str(file["origin"]),
        )


def thermal(
    inherent: xr.Dataset,
    displacement: xr.DataArray,
    radii: Sequence[float] = RADII,
    fewer: Sequence[int] = FEWER,
) -> dict[str, np.ndarray]:
    """All readings of one isoconfigurational ensemble: name -> (particle of type A,).

    `inherent` is the inherent structure of its start, one frame; `displacement` (replica, lag, particle, space) is
    counted from there, with the lags as a coordinate. Fewer runs are the first ones, at the radius of the pipeline.
    """
    majority = np.asarray(inherent["species"].values == "A")
    found: dict[str, np.ndarray] = {}
    for lag in displacement["lag"].values.tolist():
        moved = displacement.sel(lag=lag, drop=True)
        found[reading(lag=lag)] = np.asarray(propensity(moved, power=1)["propensity"].values)[majority]
        for radius in radii:
            each = replica_d2min(moved, inherent, radius).values[:, majority]
            neighbors = _neighbors(inherent, radius)[majority]
            found[reading(lag=lag, radius=radius)] = each.mean(axis=0)
            if radius == RADIUS["thermal"]:
                found[reading(lag=lag, radius=radius, mean=True)] = each.mean(axis=0) / neighbors
                for runs in fewer:
                    if runs < len(each):
                        found[reading(lag=lag, radius=radius, runs=runs)] = each[:runs].mean(axis=0)
    return found


def mechanical(runs: Mapping[int, xr.Dataset], main: str, origin: str, radii: Sequence[float] = SHEARED) -> Sample:
    """The sample of sheared glasses of the same particles, by the number of each: a configuration a window of strain.

    Windows in which nobody rearranges, or all do at once, are not in it.
    """
    frames, groups, found = [], [], []
    for group, run in runs.items():
        majority = np.asarray(run["species"].values == "A")
        for part in windows(run):
            begun = run.isel(frame=part)
            each = {reading(radius=radius): window(begun, group, radius) for radius in radii}
            if any(each.values()):
                nothing = np.full(int(majority.sum()), np.nan)
                frames.append(begun.isel(frame=[0]))
                groups.append(group)
                found.append({name: one.d2min[majority] if one else nothing for name, one in each.items()})
    return merged(frames, groups, found, main, origin)


def _neighbors(configuration: xr.Dataset, radius: float) -> np.ndarray:
    """How many neighbours each particle has within a radius."""
    return np.asarray(gd.dynamics.d2min(configuration, configuration, radius)["neighbors"].values[0])


def merged(
    frames: Sequence[xr.Dataset],
    groups: Sequence[int],
    found: Sequence[Mapping[str, Any]],
    main: str,
    origin: str,
) -> Sample:
    """One sample of configurations of the same particles; readings that some do not have are NaN there."""
    position = np.concatenate([one["position"].values for one in frames])
    box = np.concatenate([one["box"].values for one in frames])
    together = gd.from_arrays(position, species=frames[0]["species"].values.tolist(), box=box)
    names = dict.fromkeys(name for one in found for name in one)
    nothing = np.full(len(next(iter(found[0].values()))), np.nan)
    activity = {name: np.stack([one.get(name, nothing) for one in found]) for name in names}
    return Sample(together, np.asarray(groups), activity, main, origin)
