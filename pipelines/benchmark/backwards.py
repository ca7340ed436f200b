"""Runs read backwards: each end of a run of training is the start of one whose end is known.

Equilibrium dynamics is the same in both directions of time: of a configuration x and a run of it that ends in y, the
pair (y, x) is as probable as (x, y). How far a particle has moved between them is thus one run's word on its propensity
in y: a noisy label of a configuration that no file has labels of. This does not hold for glasses that age, or that are
sheared.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

import glassdask as gd
from benchmark.sources import Study, Task

SWEEPS = 1500  # for the cage states of ends, whose labels are noisy anyway


class Ends(Study):
    """The ends of the first runs of each configuration of a study, at its longest lag.

    They are sorted by the configurations from which they come, `of` (end,): what must not see those must not see them.
    """

    def __init__(self, study: Study, runs: int):
        settings = replace(study.settings, sweeps=min(study.settings.sweeps, SWEEPS), bonds=False)
        self.settings, self.folder = settings, study.folder / f"ends_{runs}"
        for name in ("files", "temperature", "species", "model", "is_center"):
            setattr(self, name, getattr(study, name))
        self.linear = study.linear | {"sweeps": settings.sweeps}
        self._features = {}
        self.of = np.repeat(np.arange(study.n_configurations), runs)
        number = study.lags.tolist().index(self.task_of(study)[1])
        self.lags = study.lags[[number]]
        store = self.folder / "initial.zarr"
        gd.save_trajectory(ends_of(study.trajectory, runs, number), store, overwrite=settings.overwrite)
        self.trajectory = gd.open_trajectory(store)

    @staticmethod
    def task_of(study: Study) -> Task:
        """What the ends tell: the propensity at the longest lag."""
        return max((task for task in study.targets if task[0] == "propensity"), default=("propensity", np.nan))


def ends_of(trajectory: xr.Dataset, runs: int, lag: int) -> xr.Dataset:
    """Where the first runs of each frame end, frame by frame, and how far the particles were moved (`propensity`)."""
    starts = trajectory[["position", "species", "box"]].load()
    moved = trajectory["replica_displacement"].isel(replica=slice(runs), lag=lag)
    moved = moved.transpose("frame", "replica", "particle", "space").values
    shape = (-1, *moved.shape[2:])
    box = np.broadcast_to(starts["box"].values, (len(moved), *starts["box"].shape[1:]))
    made = gd.from_arrays(
        (starts["position"].values[:, None] + moved).reshape(shape), species=starts["species"].values,
        box=np.repeat(box, runs, axis=0),
    )  # fmt: skip
    far = np.linalg.norm(moved.reshape(shape), axis=-1)
    return made.drop_vars("image", errors="ignore").assign(propensity=(("frame", "particle", "lag"), far[..., None]))
