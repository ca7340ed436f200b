"""Frames of a trajectory for MDAnalysis, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassdask.io.writers.sheet import Sheet


def reader(sheet: Sheet, load: Callable[[int], Any], cell: Callable[[Sheet, str], Any]) -> Any:
    """A reader of MDAnalysis; `load` gives the sheet and the values of one frame, `cell` its box."""
    from MDAnalysis.coordinates.base import ReaderBase
    from MDAnalysis.lib.mdamath import triclinic_box

    class StoreReader(ReaderBase):  # type: ignore[misc]
        format = "GLASSDASK"
        units = {"time": None, "length": None, "velocity": None}  # noqa: RUF012  (as MDAnalysis has it)

        def __init__(self, **kwargs: Any):
            super().__init__(sheet.where, convert_units=False, **kwargs)
            self.n_atoms, self.n_frames = sheet.n_particles, sheet.n_frames
            self.ts = self._Timestep(self.n_atoms, velocities=sheet.has("velocity"), **self._ts_kwargs)
            self._read_frame(0)

        def _read_frame(self, frame: int) -> Any:
            here, values = load(frame)
            ts, n_space = self.ts, sheet.n_space
            ts.frame = frame
            position = np.zeros((self.n_atoms, 3), np.float32)
            position[:, :n_space] = values["position"]
            ts.positions = position
            if "velocity" in values:
                velocity = np.zeros((self.n_atoms, 3), np.float32)
                velocity[:, :n_space] = values["velocity"]
                ts.velocities = velocity
            ts.dimensions = triclinic_box(*cell(here, "MDAnalysis")[0])
            if here.times is not None:
                ts.time = float(here.times[0])
            if here.steps is not None:
                ts.data["step"] = int(here.steps[0])
            for name in sheet.columns:
                ts.data[name] = values[f"column {name}"]
            return ts

        def _read_next_timestep(self) -> Any:
            if self.ts.frame + 1 >= self.n_frames:
                raise OSError("there is no further frame")  # how MDAnalysis knows the end
            return self._read_frame(self.ts.frame + 1)

        def _reopen(self) -> None:
            self.ts.frame = -1

        def copy(self) -> Any:
            """Another reader of the same frames, at the same one."""
            made = StoreReader()
            made[self.ts.frame]
            return made

    return StoreReader()
