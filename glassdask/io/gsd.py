"""GSD files of HOOMD-blue: tilted boxes, images, types and per-particle logged quantities.

HOOMD centres its box on zero and stores single precision: positions are shifted by half the cell, which makes them lie
in [0, cell) and is kept as ``origin``, and are exact to 6e-8 relative to the box. Velocities and images are read where
there are any.
``columns={"energy": "particles/md/pair/LJ/energies"}`` names a logged per-particle energy, ``keep=["charge", "q"]``
other properties of particles and what is logged of them as ``particles/q``. Files of ours also log where the box
begins, times, ids and energies.
"""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from glassdask.errors import FormatError, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey
from glassdask.io.tables import further
from glassdask.schema import CODE

OTHERS = ("charge", "mass", "diameter", "body", "moment_inertia", "orientation", "angmom")
READ = {"origin", "time", "particles/id", "particles/energy"}
INDEX = np.dtype("u8, u8, i8, u4, u2, u1, u1")
INDEX.names = ("frame", "N", "location", "M", "id", "type", "flags")
SIZES = np.array([0, 1, 2, 4, 8, 1, 2, 4, 8, 4, 8, 1])  # of the types that gsd numbers from 1


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = ()) -> Survey:
    """Count the frames of a GSD file."""
    digest = sha256(path)
    with _opened(path) as trajectory:
        return Survey(len(trajectory), digest, None, True, _steps(trajectory.file))


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a GSD file."""
    energy = (columns or {}).get("energy")
    with _opened(path) as trajectory:
        # a chunk that no frame has is filled with zeros by gsd
        stored = set(trajectory.file.find_matching_chunk_names("particles/"))
        for number in range(start, stop):
            _check_number(trajectory.file, number, f"{path}, frame {number}")
            yield _frame(trajectory[number], stored, energy, keep, f"{path}, frame {number}")


def _check_sizes(path: str) -> None:
    """Raise `FormatError` where the index claims more than the file has: gsd would make room for it first.

    Header and index are those of GSD 1 and 2 (https://gsd.readthedocs.io/en/stable/file-layer.html).
    """
    size = os.path.getsize(path)
    place, count = np.fromfile(path, np.uint64, 2, offset=8).tolist()
    if size < 256 or place + count * INDEX.itemsize > size:
        raise FormatError(f"{path}: not a readable GSD file (its index lies outside of it): write or copy it again")
    index = np.fromfile(path, INDEX, count, offset=place)
    index = index[index["location"] != 0]
    known = (index["type"] > 0) & (index["type"] < len(SIZES))
    needed = index["N"].astype(float) * index["M"] * SIZES[np.where(known, index["type"], 0)] + index["location"]
    if not known.all() or (needed > size).any() or (index["location"] < 0).any():
        raise FormatError(
            f"{path}: not a readable GSD file (its index claims more than it holds): write or copy it again"
        )


def _check_number(file: Any, number: int, where: str) -> None:
    """Raise `FormatError` where a frame has more particles than positions fit into the file: gsd would make room."""
    for frame in (number, 0):  # what a frame lacks is that of the first
        if file.chunk_exists(frame=frame, name="particles/N"):
            claimed = int(file.read_chunk(frame=frame, name="particles/N")[0])
            if not 0 <= 12 * claimed <= os.path.getsize(file.name):
                raise FormatError(f"{where}: claims {claimed} particles, more than the file can hold: copy it again")
            return


def _frame(found: Any, stored: set[str], energy: str | None, keep: Sequence[str], where: str) -> Frame:
    particles = found.particles
    if particles.position is None or particles.N == 0:
        raise FormatError(f"{where}: no particles: write the frame again")
    if energy is not None and energy not in found.log:
        raise FormatError(f"{where}: nothing logged as '{energy}': found {sorted(found.log)}")
    lx, ly, lz, xy, xz, yz = (float(value) for value in found.configuration.box)
    n_space = 2 if found.configuration.dimensions == 2 else 3
    # rows are HOOMD's lattice vectors (HOOMD-blue manual, periodic boundary conditions)
    box = np.array([[lx, 0.0, 0.0], [xy * ly, ly, 0.0], [xz * lz, yz * lz, lz]])[:n_space, :n_space]

    def vectors(name: str) -> np.ndarray | None:
        return np.asarray(getattr(particles, name))[:, :n_space] if f"particles/{name}" in stored else None

    velocity = vectors("velocity")
    origin, time, ids = (found.log.get(name) for name in ("origin", "time", "particles/id"))
    energy = energy or ("particles/energy" if "particles/energy" in found.log else None)
    rest = {name: getattr(particles, name) for name in OTHERS if f"particles/{name}" in stored}
    logged = {
        name.removeprefix("particles/"): values for name, values in found.log.items() if name not in READ | {energy}
    }
    rest |= {name: values for name, values in logged.items() if "/" not in name and len(values) == particles.N}
    return Frame(
        particles.position[:, :n_space].astype(np.float64) + box.sum(axis=0) / 2,
        tuple(particles.types),
        np.asarray(particles.typeid, dtype=CODE),
        box,
        origin=-box.sum(axis=0) / 2 if origin is None else np.asarray(origin, dtype=np.float64)[:n_space],
        image=vectors("image"),
        velocity=None if velocity is None else velocity.astype(np.float64),
        energy=None if energy is None else np.asarray(found.log[energy], dtype=np.float64).reshape(-1),
        time=None if time is None else float(np.ravel(time)[0]),
        step=int(found.configuration.step),
        id=None if ids is None else np.asarray(ids, dtype=np.int64).reshape(-1),
        **further(list(rest), keep, rest.__getitem__),
    )


def _steps(file: Any) -> np.ndarray | None:
    """The step of each frame; a frame that has none has that of the first, as gsd reads it."""
    name = "configuration/step"
    if name not in file.find_matching_chunk_names(name):  # zero, or never told
        return np.zeros(1, dtype=np.int64) if file.nframes == 1 else None
    first = int(file.read_chunk(frame=0, name=name)[0]) if file.chunk_exists(frame=0, name=name) else 0
    steps = np.full(file.nframes, first, dtype=np.int64)
    for k in range(1, file.nframes):
        if file.chunk_exists(frame=k, name=name):
            steps[k] = file.read_chunk(frame=k, name=name)[0]
    return steps


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        import gsd.hoomd
    except ImportError:
        raise FormatError(f"{path}: GSD needs the package gsd: {install('io')}") from None
    _check_sizes(path)
    try:
        with gsd.hoomd.open(path, "r") as trajectory:
            yield trajectory
    except (RuntimeError, OSError, KeyError) as error:
        raise FormatError(f"{path}: not a readable GSD file ({error}): write or copy it again") from None
