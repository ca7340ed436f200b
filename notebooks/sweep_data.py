"""What the dashboard shows of a sweep's store, read only: states, their numbers, densities, slices."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, ClassVar

import dask.array as da
import datashader as ds
import numpy as np
import pandas as pd
import xarray as xr

import glassdask as gd
from glassdask.sweep import read_sweep, status

RELAXATION = "reductions/relaxation"
COMPLETE, FAILED, WAITING, PARTIAL = "complete", "failed", "waiting", "partial"


class SweepStore:
    """Reads a sweep while it runs; keeps the few numbers of each state that it has read, for all pages of a server."""

    _read: ClassVar[dict[Path, tuple[int, dict[str, float]]]] = {}

    def __init__(self, path: str):
        self.path = path
        self._deadline = math.inf
        self._groups: dict[str, dict[str, tuple[str, str]]] = {}
        self._relaxing: set[str] = set()  # states whose motion is followed

    def status(self) -> pd.DataFrame:
        """`glassdask.sweep.status`; a `StoreError` where no sweep was run yet."""
        table = status(self.path)
        if set(table.index) != set(self._groups):
            states = read_sweep(self.path).states
            self._groups = {state.label: _reductions(state) for state in states}
            self._relaxing = {state.label for state in states if RELAXATION in _groups(state, "correlate")}
        return table

    def descriptors(self, table: pd.DataFrame) -> list[str]:
        """Names of all principal component analyses of the sweep, in its order."""
        return list(dict.fromkeys(name for label in table.index for name in self._groups.get(label, {})))

    def numbers(self, table: pd.DataFrame, seconds: float = math.inf) -> pd.DataFrame:
        """tau_alpha and explained variance ratios of every state that has them, else NaN; one row a state.

        Nothing more is read after some `seconds`; the next call goes on from there.
        """
        self._deadline = time.monotonic() + seconds
        rows: dict[str, dict[str, float]] = {}
        for label, row in table.iterrows():
            found: dict[str, float] = {}
            if label in self._relaxing and row["correlate"] == COMPLETE:
                found |= self._kept(Path(row["path"]), "relaxation", _relaxation)
            for name, (store, _) in self._groups.get(label, {}).items():
                if row["reduce"] == COMPLETE:
                    ratio = self._kept(Path(store), name, _ratios)
                    found |= {f"{name} {component}": value for component, value in ratio.items()}
            rows[label] = found
        numbers = pd.DataFrame.from_dict(rows, orient="index").reindex(table.index)
        return table[["model", "temperature"]].join(numbers)

    def projection(self, label: str, name: str) -> xr.DataArray:
        """Principal components of a state (frame, particle, component), lazy."""
        store, _ = self._groups[label][name]
        return gd.open_reduction(store, name)["projection"]

    def trajectory(self, label: str, name: str) -> xr.Dataset:
        """The configurations that a descriptor was computed of, lazy."""
        return gd.open_trajectory(self._groups[label][name][0])

    def version(self, label: str, name: str) -> int:
        """Changes when the principal components are computed anew."""
        store, _ = self._groups[label][name]
        return (Path(store) / "reductions" / name / "zarr.json").stat().st_mtime_ns

    def _kept(self, store: Path, name: str, read: Any) -> dict[str, float]:
        file = store / "reductions" / name / "zarr.json"
        written = file.stat().st_mtime_ns
        if self._read.get(file, (0, {}))[0] != written:
            if time.monotonic() > self._deadline:
                return {}
            self._read[file] = (written, read(gd.open_reduction(store, name)))
        return self._read[file][1]


def _groups(state: Any, stage: str) -> tuple[str, ...]:
    """What a stage of a state stores, if the state has it."""
    return state.units[stage].groups if stage in state.units else ()


def _reductions(state: Any) -> dict[str, tuple[str, str]]:
    """Of each principal component analysis of a state: the store in which it is, and its group there."""
    found = {}
    for group in _groups(state, "reduce"):
        within, _, name = group.partition("reductions/")
        found[name] = (str(Path(state.path) / within), f"reductions/{name}")
    return found


def _relaxation(found: xr.Dataset) -> dict[str, float]:
    return {"tau": float(found["tau_total"]), "tau_error": float(found["tau_total_error"])}


def _ratios(found: xr.Dataset) -> dict[str, float]:
    ratio = found["explained_variance_ratio"].values
    return {f"EVR{k}": float(value) for k, value in enumerate(ratio[:3], start=1)}


def cells(table: pd.DataFrame, model: str) -> pd.DataFrame:
    """One row for each temperature and stage of a model: share that is done, what to write there, first error.

    ``value`` is the mean fraction of the states of the cell; -1 where one failed, NaN where all wait for one that did.
    """
    rows = []
    for temperature, states in table[table["model"] == model].groupby("temperature"):
        for stage in table.attrs["stages"]:
            found = states[stage]
            done, failed = (found == COMPLETE).sum(), (found == FAILED).sum()
            value = -1.0 if failed else np.nan if (found == WAITING).all() else states[f"{stage}_fraction"].mean()
            if failed:
                text = "✗" if len(states) == 1 else f"{failed} ✗"
            elif done == len(states):
                text = "✓"
            else:
                text = f"{100 * value:.0f}%" if value > 0 else ""
            error = next((error for error in states[f"{stage}_error"] if error), "")
            rows.append((f"{temperature:g}", stage, value, text, ", ".join(sorted(set(found))), error))
    columns = ["temperature", "stage", "value", "text", "status", "error"]
    # plain objects: holoviews cannot reshape pandas' strings into a map
    return pd.DataFrame(rows, columns=columns, dtype=object).astype({"value": float})


def failures(table: pd.DataFrame) -> pd.DataFrame:
    """State, stage and error of everything that failed or needs somebody to look."""
    parts = []
    for stage in table.attrs["stages"]:
        found = table[(table[f"{stage}_error"] != "") & (table[stage] != COMPLETE)]
        parts.append(pd.DataFrame({"state": found.index, "stage": stage, "error": found[f"{stage}_error"].to_numpy()}))
    return pd.concat(parts, ignore_index=True)


def extent(projection: xr.DataArray) -> np.ndarray:
    """Smallest and largest value of the first two components, (2, 2), chunk by chunk; NaN without any."""
    blocks = _plane(projection)
    ends = da.map_blocks(_ends, blocks, chunks=(*_ones(blocks), (2,), (2,)), drop_axis=2, new_axis=(2, 3), dtype=float)
    low, high = da.compute(ends[..., 0].min(axis=(0, 1)), ends[..., 1].max(axis=(0, 1)))
    return np.where(low <= high, np.stack([low, high]), np.nan)


def density(projection: xr.DataArray, within: np.ndarray, bins: int = 256) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """p(X1, X2) on a grid over the extent `within`: X1, X2 and p (X2, X1); zero where nobody is.

    Each chunk is rasterised by the task that reads it, and only its counts are kept, so that the memory does not grow
    with the number of points.
    """
    (x0, y0), (x1, y1) = within
    canvas = ds.Canvas(bins, bins, x_range=(x0, x1), y_range=(y0, y1))
    blocks = _plane(projection)
    chunks = (*_ones(blocks), (bins,), (bins,))
    counts = da.map_blocks(
        _counts, blocks, canvas, chunks=chunks, drop_axis=2, new_axis=(2, 3), dtype=float, meta=np.empty((0,) * 4)
    )
    total = counts.sum(axis=(0, 1)).compute()
    x = x0 + (np.arange(bins) + 0.5) * (x1 - x0) / bins
    y = y0 + (np.arange(bins) + 0.5) * (y1 - y0) / bins
    return x, y, total / max(total.sum() * (x[1] - x[0]) * (y[1] - y[0]), np.finfo(float).tiny)


def _plane(projection: xr.DataArray) -> da.Array:
    data = projection.data[..., :2]
    return data.rechunk({2: -1}) if isinstance(data, da.Array) else da.from_array(data, chunks=(1, -1, -1))


def _ones(blocks: da.Array) -> tuple[tuple[int, ...], ...]:
    return tuple((1,) * n for n in blocks.numblocks[:2])


def _ends(block: np.ndarray) -> np.ndarray:
    found = block.reshape(-1, 2)
    low = np.where(np.isnan(found), np.inf, found).min(axis=0, initial=np.inf)
    high = np.where(np.isnan(found), -np.inf, found).max(axis=0, initial=-np.inf)
    return np.stack([low, high], axis=-1)[None, None]


def _counts(block: np.ndarray, canvas: ds.Canvas) -> np.ndarray:
    points = pd.DataFrame(block.reshape(-1, 2), columns=["x", "y"])
    return canvas.points(points, "x", "y", ds.count()).values.astype(float)[None, None]


def particles(
    trajectory: xr.Dataset, projection: xr.DataArray, frame: int, height: float, thickness: float
) -> pd.DataFrame:
    """Position, species and first two components of the particles of one configuration near z = `height`.

    Periodic in z. In two dimensions all particles.
    """
    position = trajectory["position"].isel(frame=frame).values
    box = trajectory["box"].isel(frame=frame).values
    found = pd.DataFrame({"x": position[:, 0], "y": position[:, 1], "species": trajectory["species"].values})
    found[["X1", "X2"]] = projection.isel(frame=frame, component=slice(2)).values
    if position.shape[1] == 2:
        return found
    away = position[:, 2] - height
    away -= box[2, 2] * np.rint(away / box[2, 2])
    return found[np.abs(away) <= 0.5 * thickness]


def inside(found: pd.DataFrame, bounds: tuple[float, float, float, float] | None) -> np.ndarray:
    """Which particles lie in the box (X1, X2, X1', X2') of the plane of principal components; all False without one."""
    if bounds is None:
        return np.zeros(len(found), bool)
    x0, y0, x1, y1 = bounds
    return (found["X1"].between(x0, x1) & found["X2"].between(y0, y1)).to_numpy()
