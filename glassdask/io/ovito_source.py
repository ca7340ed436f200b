"""Frames of a trajectory for OVITO, read when they are asked for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from glassdask.io.writers.sheet import Sheet

NAMES = {"position": "Position", "velocity": "Velocity", "image": "Periodic Image", "id": "Particle Identifier"}


def pipeline(sheet: Sheet, load: Callable[[int], Any]) -> Any:
    """A pipeline of OVITO whose source reads frames; `load` gives the sheet and the values of one."""
    from ovito.data import DataCollection, ParticleType
    from ovito.pipeline import Pipeline, PipelineSourceInterface, PythonSource

    class StoreSource(PipelineSourceInterface):  # type: ignore[misc, unused-ignore]
        def compute_trajectory_length(self, **_: Any) -> int:
            """Number of frames."""
            return sheet.n_frames

        def create(self, data: DataCollection, *, frame: int, **_: Any) -> None:
            """Fill `data` with the particles of a frame."""
            here, values = load(min(frame, sheet.n_frames - 1))
            box, origin, periodic = here.cells()
            matrix = np.concatenate([box[0].T, origin[0][:, None]], axis=1)
            cell = data.create_cell(matrix, pbc=periodic)
            cell.is2D = sheet.n_space == 2
            particles = data.create_particles(count=len(values["code"]))
            for name, label in NAMES.items():
                if name in values and (name != "id" or sheet.has("id") or sheet.has("present")):
                    column = values[name]
                    whole = np.zeros((len(column), 3), column.dtype)
                    if column.ndim == 2:
                        whole[:, : column.shape[1]] = column
                    particles.create_property(label, data=whole if column.ndim == 2 else column)
            types = particles.create_property("Particle Type", data=values["code"] + 1)
            for number, name in enumerate(sheet.names_and_codes[0], start=1):
                types.types.append(ParticleType(id=number, name=name))
            if "diameter" in values:
                particles.create_property("Radius", data=values["diameter"] / 2)
            for name in sheet.columns:
                column = values[f"column {name}"]
                particles.create_property(name, data=column.astype(np.int8) if column.dtype.kind == "b" else column)
            if here.steps is not None:
                data.attributes["Timestep"] = int(here.steps[0])
            if here.times is not None:
                data.attributes["Time"] = float(here.times[0])

    return Pipeline(source=PythonSource(delegate=StoreSource()))
