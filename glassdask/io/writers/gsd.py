"""GSD, HOOMD-blue's files: single precision, positions from the middle of the box, all else as logged quantities.

Columns are ``log/particles/NAME``, where OVITO finds them; time and origin, which the format has not, ``log/time`` and
``log/origin``. A frame is written as a whole.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.errors import BoxError, MissingPackageError, install
from glassdask.io.writers.lammps import restricted
from glassdask.io.writers.sheet import Sheet

TAKEN = frozenset({"energy"})


def remarks(sheet: Sheet) -> Iterator[str]:
    """What is not as it was."""
    yield "positions, velocities and boxes are in single precision, as the format has them"
    if sheet.steps is None and sheet.n_frames > 1:
        yield "steps are the numbers of the frames"


def write(sheet: Sheet, stream: Any) -> None:
    """Write all frames."""
    try:
        import gsd.hoomd
    except ImportError:
        raise MissingPackageError(f"GSD needs the package gsd: {install('io')}") from None
    boxes = sheet.cells()[0]
    for frame, box in enumerate(boxes):
        if not restricted(box):
            raise BoxError(
                f"{sheet.where}, frame {frame}: GSD has cells whose first vector lies along x and whose second lies in "
                f"the plane of x and y, found {box.tolist()}: write extxyz, h5md or parquet"
            )
    names = list(sheet.names_and_codes[0])
    with gsd.hoomd.open(stream.name, "w") as file:
        for frame, values in sheet.by_frame(placed=False):
            file.append(_frame(gsd.hoomd.Frame(), sheet, frame, boxes[frame], names, values))


def _frame(
    made: Any, sheet: Sheet, frame: int, box: np.ndarray, names: list[str], values: dict[str, np.ndarray]
) -> Any:
    n_space = sheet.n_space
    lx, ly, lz = np.diag(box)
    made.configuration.box = [lx, ly, lz, box[1, 0] / ly, box[2, 0] / lz, box[2, 1] / lz]
    made.configuration.dimensions = n_space
    made.configuration.step = frame if sheet.steps is None else int(sheet.steps[frame])
    particles = made.particles
    particles.N, particles.types, particles.typeid = len(values["code"]), names, values["code"].astype(np.uint32)

    def padded(vectors: np.ndarray, dtype: Any) -> np.ndarray:
        whole = np.zeros((len(vectors), 3), dtype)
        whole[:, :n_space] = vectors
        return whole

    particles.position = padded(values["position"] - box[:n_space, :n_space].sum(axis=0) / 2, np.float32)
    if "image" in values:
        particles.image = padded(values["image"], np.int32)
    if "velocity" in values:
        particles.velocity = padded(values["velocity"], np.float32)
    if "diameter" in values:
        particles.diameter = values["diameter"].astype(np.float32)
    logged = {"energy": values["energy"]} if "energy" in values else {}
    if sheet.has("id") or sheet.has("present"):
        logged["id"] = values["id"]
    logged |= {name: values[f"column {name}"] for name in sheet.columns}
    for name, column in logged.items():
        kinds: dict[str, Any] = {"b": np.int8, "f": np.result_type(column.dtype, np.float32)}
        made.log[f"particles/{name}"] = column.astype(kinds.get(column.dtype.kind, column.dtype))
    if sheet.times is not None:
        made.log["time"] = np.array([sheet.times[frame]])
    made.log["origin"] = np.ascontiguousarray(sheet.origin[frame])
    return made
