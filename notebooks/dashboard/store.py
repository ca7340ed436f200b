"""What the dashboard reads of a sweep's store, and nothing is written: states, their numbers and what they store."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pandas as pd
import xarray as xr

import glassdask as gd
from glassdask.errors import GlassdaskError
from glassdask.sweep import read_sweep, status
from glassdask.sweep.records import Record, read_records

COMPLETE, FAILED, WAITING, PARTIAL = "complete", "failed", "waiting", "partial"
STRUCTURE, RELAXATION, PROPENSITY = "structure", "relaxation", "propensity"
STAGE_OF = {STRUCTURE: "correlate", RELAXATION: "correlate", PROPENSITY: "correlate"}


class SweepStore:
    """Reads a sweep while it runs; keeps the few numbers of each state that it has read, for all pages of a server."""

    _read: ClassVar[dict[Path, tuple[int, dict[str, float]]]] = {}

    def __init__(self, path: str):
        self.path = path
        self.title = Path(path).name
        self._states: dict[str, Any] = {}

    def status(self) -> pd.DataFrame:
        """`glassdask.sweep.status`; a `StoreError` where no sweep was run yet."""
        table = status(self.path)
        if set(table.index) != set(self._states):
            sweep = read_sweep(self.path)
            self.title = Path(sweep.file).stem
            self._states = {state.label: state for state in sweep.states}
        return table

    @property
    def begun(self) -> bool:
        """Whether there is anything at all where the sweep is expected."""
        return Path(self.path).exists()

    # ---- what there is

    def groups(self, label: str, stage: str) -> tuple[str, ...]:
        """What a stage of a state stores, if the state has it."""
        units = self._states[label].units if label in self._states else {}
        return units[stage].groups if stage in units else ()

    def reductions(self, label: str) -> dict[str, str]:
        """Of each principal component analysis of a state: the store in which it is."""
        found = {}
        for group in (*self.groups(label, "reduce"), *self.groups(label, "common")):
            within, _, name = group.partition("reductions/")
            found[name] = str(Path(self._states[label].path) / within)
        return found

    def descriptors(self, table: pd.DataFrame) -> list[str]:
        """Names of all principal component analyses of the sweep, in its order."""
        return list(dict.fromkeys(name for label in table.index for name in self.reductions(label)))

    def quantities(self, table: pd.DataFrame) -> list[str]:
        """Names of the quantities of motion that the stage *dynamics* stores."""
        groups = (group for label in table.index for group in self.groups(label, "dynamics"))
        return list(dict.fromkeys(group.partition("reductions/")[2] for group in groups))

    # ---- numbers of all states

    def numbers(self, table: pd.DataFrame, seconds: float = math.inf) -> pd.DataFrame:
        """tau_alpha, D tau_alpha, energies and explained variance ratios of every state, NaN where it has none.

        Nothing more is read after some `seconds`; the next call goes on from there.
        """
        deadline = time.monotonic() + seconds
        rows: dict[str, dict[str, float]] = {}
        for label, row in table.iterrows():
            found: dict[str, float] = {}
            own = self.groups(label, "correlate")
            for name, read in ((RELAXATION, _relaxation), (STRUCTURE, _energies)):
                if f"reductions/{name}" in own and row["correlate"] == COMPLETE:
                    found |= self._kept(Path(row["path"]), name, read, deadline)
            for name, store in self.reductions(label).items():
                if row["common" if name.endswith("_common") else "reduce"] == COMPLETE:
                    ratio = self._kept(Path(store), name, _ratios, deadline)
                    found |= {f"{name} {component}": value for component, value in ratio.items()}
            rows[label] = found
        numbers = pd.DataFrame.from_dict(rows, orient="index").reindex(table.index)
        return table[["model", "temperature"]].join(numbers)

    def _kept(self, store: Path, name: str, read: Any, deadline: float) -> dict[str, float]:
        file = store / "reductions" / name / "zarr.json"
        try:
            written = file.stat().st_mtime_ns
            if self._read.get(file, (0, {}))[0] != written:
                if time.monotonic() > deadline:
                    return {}
                self._read[file] = (written, read(gd.open_reduction(store, name)))
        except (GlassdaskError, OSError):
            return {}  # it is being replaced, or damaged: glassdask verify says more
        return self._read[file][1]

    def records(self) -> dict[tuple[str, str], Record]:
        """The records of all units that were begun, by state and stage."""
        states = list(self._states.values())
        found = zip(states, read_records(self.path, states))
        return {(state.label, stage): record for state, units in found for stage, record in units.items()}

    # ---- what one state has

    def curves(self, label: str, name: str) -> xr.Dataset | None:
        """A small reduction of a state, in memory; None where it is not there, or cannot be read now."""
        state = self._states[label]
        if all(f"reductions/{name}" not in unit.groups for unit in state.units.values()):
            return None
        try:
            return gd.open_reduction(state.path, name).load()
        except (GlassdaskError, OSError, KeyError):
            return None

    def projection(self, label: str, name: str) -> xr.DataArray:
        """Principal components of a state (frame, particle, component), lazy."""
        return gd.open_reduction(self.reductions(label)[name], name)["projection"]

    def features(self, label: str, name: str) -> xr.DataArray | None:
        """A descriptor of a state, lazy; None where it is not stored."""
        try:
            described = name.removesuffix("_common")
            return gd.open_descriptors(self.reductions(label)[name], [described])[described]
        except (GlassdaskError, OSError, KeyError):
            return None

    def trajectory(self, label: str, name: str) -> xr.Dataset:
        """The configurations that a descriptor was computed of, lazy."""
        return gd.open_trajectory(self.reductions(label)[name])

    def version(self, label: str, name: str) -> int | None:
        """Changes when the principal components are computed anew; None where there are none."""
        try:
            return (Path(self.reductions(label)[name]) / "reductions" / name / "zarr.json").stat().st_mtime_ns
        except (KeyError, OSError):
            return None


def _relaxation(found: xr.Dataset) -> dict[str, float]:
    numbers = {"tau": float(found["tau_total"]), "tau_error": float(found["tau_total_error"])}
    if "diffusion_total" in found:  # not of sweeps that were made before it was
        D, error = float(found["diffusion_total"]), float(found["diffusion_total_error"])
        relative = np.hypot(error / D, numbers["tau_error"] / numbers["tau"]) if D > 0 else np.nan
        numbers |= {"d_tau": D * numbers["tau"], "d_tau_error": D * numbers["tau"] * relative}
    return numbers


def _energies(found: xr.Dataset) -> dict[str, float]:
    """Means over the frames with their standard errors."""
    numbers = {}
    for name in ("energy", "inherent_energy"):
        if name in found:
            values = found[name].values
            numbers |= {name: float(values.mean()), f"{name}_error": float(values.std() / np.sqrt(len(values)))}
    return numbers


def _ratios(found: xr.Dataset) -> dict[str, float]:
    ratio = found["explained_variance_ratio"].values
    return {f"EVR{k}": float(value) for k, value in enumerate(ratio[:3], start=1)}
