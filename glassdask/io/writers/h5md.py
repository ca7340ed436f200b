"""H5MD 1.1 (P. de Buyl et al., Comput. Phys. Commun. 185, 1546 (2014)), compressed: the group ``particles/all``.

Positions are counted from the corner of the box, which the format does not place; ``box/origin`` says where it is.
Where particles are absent their ``id`` is -1. Columns are elements of their own names. Steps, which the format wants,
are the numbers of the frames where they are not known.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.code import version
from glassdask.errors import MissingPackageError, install
from glassdask.io.writers.sheet import Sheet

TAKEN = frozenset(["position", "image", "velocity", "species", "id", "potential_energy", "diameter", "box"])
CHUNK = 1 << 15  # rows of a chunk
NAMES = {"energy": "potential_energy", "code": "species"}


def remarks(sheet: Sheet) -> Iterator[str]:
    """What a reader of the file must know."""
    if sheet.steps is None:
        yield "steps are the numbers of the frames"
    if sheet.origin.any():
        yield "where the box begins is in box/origin, which other programs do not read: they see it begin at zero"


def write(sheet: Sheet, stream: Any) -> None:
    """Write all frames."""
    try:
        import h5py
    except ImportError:
        raise MissingPackageError(f"H5MD needs the package h5py: {install('io')}") from None
    with h5py.File(stream.name, "w") as root:
        particles = _frame_of(root, sheet)
        enumeration = h5py.enum_dtype({name: code for code, name in enumerate(sheet.names_and_codes[0])}, "i4")
        for block in sheet.blocks(absent=True, placed=False):
            values = block.values
            there = values.pop("present", None)
            if there is not None:
                values["id"] = np.where(there, values["id"], -1)
            elif not sheet.has("id"):
                del values["id"]
            frames, rows = (slice(part.start, part.stop) for part in (block.frames, block.particles))
            for source, column in values.items():
                name = NAMES.get(source, source.removeprefix("column "))
                timed = sheet.changes(source) or (source == "id" and there is not None)
                if frames.start == rows.start == 0:
                    dtype = enumeration if source == "code" else column.dtype
                    _create(particles, name, (sheet.n_frames, sheet.n_particles, *column.shape[1:]), dtype, timed)
                cut = column.reshape(len(block.frames), len(block.particles), *column.shape[1:])
                if timed:
                    particles[name]["value"][frames, rows] = cut
                elif frames.start == 0:
                    particles[name][rows] = cut[0]


def _frame_of(root: Any, sheet: Sheet) -> Any:
    """Metadata, box and clock; gives the group of the particles."""
    about = root.create_group("h5md")
    about.attrs["version"] = np.array([1, 1])
    about.create_group("author").attrs["name"] = "glassdask"
    about.create_group("creator").attrs.update({"name": "glassdask", "version": version()})
    particles = root.create_group("particles/all")
    box = particles.create_group("box")
    box.attrs["dimension"] = sheet.n_space
    box.attrs["boundary"] = ["periodic" if value else "none" for value in sheet.periodic]
    cells, origin = sheet.box, sheet.origin
    straight = not (cells * (1 - np.eye(sheet.n_space))).any()
    edges = np.diagonal(cells, axis1=1, axis2=2) if straight else cells
    clock = root.create_group("particles/all/box/edges")
    clock["value"] = edges
    clock["step"] = np.arange(sheet.n_frames) if sheet.steps is None else sheet.steps
    if sheet.times is not None:
        clock["time"] = sheet.times
    if origin.any():
        _create(particles, "box/origin", origin.shape, np.float64, True)
        particles["box/origin/value"][:] = origin
    return particles


def _create(particles: Any, name: str, shape: tuple[int, ...], dtype: Any, timed: bool) -> None:
    """An empty element: in time, with the clock of the box, or fixed."""
    n_rows = shape[1]
    chunks = (min(shape[0], max(1, CHUNK // n_rows)), min(n_rows, CHUNK), *shape[2:])
    if not timed:
        shape, chunks = shape[1:], chunks[1:]
    place = f"{name}/value" if timed else name
    particles.create_dataset(place, shape, dtype, chunks=chunks, compression="gzip", compression_opts=2, shuffle=True)
    if timed:
        for clock in ("step", "time"):
            if f"box/edges/{clock}" in particles:
                particles[f"{name}/{clock}"] = particles[f"box/edges/{clock}"]
