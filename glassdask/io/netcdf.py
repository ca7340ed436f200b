"""NetCDF trajectories in the convention of AMBER: of LAMMPS (``dump netcdf``), of AMBER, MDAnalysis and mdtraj.

LAMMPS writes further variables of the atoms under the names of its columns (id, type, mol, c_pe, ...), which mean what
they do in text dumps, and where the cell begins. Others have no species: ``topology=`` or ``species=`` gives them.
Numbers are those of the file, with its scale factors; it does not say along which axes it is periodic.
"""

from __future__ import annotations

import threading
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from glassdask.errors import FormatError, GlassdaskError, brief, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey
from glassdask.io.lammps import Header
from glassdask.io.lammps_arrays import frame_of_arrays
from glassdask.io.mdtraj import cells
from glassdask.io.topology import species_of

NAMES = {  # of vectors, by the columns of a dump
    "coordinates": ("x", "y", "z"),
    "unwrapped_coordinates": ("xu", "yu", "zu"),
    "scaled_coordinates": ("xs", "ys", "zs"),
    "velocities": ("vx", "vy", "vz"),
    "forces": ("fx", "fy", "fz"),
}
POSITIONS = ("coordinates", "unwrapped_coordinates", "scaled_coordinates")
SPECIES = ("element", "typelabel", "type")
ALSO = {"atom_types": "type", "identifier": "id"}  # as OVITO and ASE call them
_LOCK = threading.Lock()  # the library bears one thread at a time


def survey(
    path: str,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    topology: str | None = None,
    species: list[str] | None = None,
) -> Survey:
    """Count the frames of a file."""
    digest = sha256(path)
    with _opened(path) as file:
        times = None
        if "time" in file.variables and "frame" in file.dimensions:
            times = np.ma.filled(file.variables["time"][:].astype(np.float64), np.nan)
        return Survey(_n_frames(file), digest, None, True, times=times)


def read(
    path: str,
    start: int,
    stop: int,
    offset: int = 0,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    topology: str | None = None,
    species: list[str] | None = None,
) -> Generator[Frame, None, None]:
    """Frames of a file."""
    for number in range(start, stop):
        with _opened(path) as file:
            if number >= _n_frames(file):
                raise FormatError(f"frame {number} of {_n_frames(file)} is not there: copy it again")
            table = _columns(file, number)
            untold = "species" not in (columns or {}) and not any(name in table for name in SPECIES)
            if untold or topology is not None or species is not None:
                count = len(next(iter(table.values())))
                table = {name: values for name, values in table.items() if name not in SPECIES}
                table["type"] = species_of(path, count, topology, species)
            header = Header()
            if "time" in file.variables:
                header.time = float(_at(file, "time", number))
            lengths, angles = (_at(file, f"cell_{name}", number) for name in ("lengths", "angles"))
            cell = cells(lengths[None], angles[None]) if lengths is not None and angles is not None else None
            origin = _at(file, "cell_origin", number)
            header.box = np.zeros((3, 3)) if cell is None else cell[0]
            header.origin = np.zeros(3) if origin is None else np.asarray(origin, dtype=np.float64)
            frame = frame_of_arrays(table, header, columns, keep)
        if cell is None or not cell.any():
            frame.box = frame.origin = None
        elif origin is None:
            frame.origin = None
        frame.told = frame.image is not None
        yield frame


def _columns(file: Any, number: int) -> dict[str, np.ndarray]:
    """All variables of the atoms, a column for each of their components."""
    table: dict[str, np.ndarray] = {}
    for name, variable in file.variables.items():
        dims = variable.dimensions
        per_frame = dims[:1] == ("frame",)
        if dims[per_frame : per_frame + 1] != ("atom",):
            continue
        values = np.asarray(variable[number] if per_frame else variable[:])
        if values.dtype.kind == "S":  # texts as arrays of letters
            values = np.array(
                [b"".join(row).decode("utf-8", "replace").strip("\0 ") for row in values.reshape(len(values), -1)]
            )
        if values.ndim == 1:
            table[ALSO.get(name, name)] = values
            continue
        flat = values.reshape(len(values), -1)
        labels = NAMES.get(name, [f"{name}[{k + 1}]" for k in range(flat.shape[1])])
        table |= dict(zip(labels, flat.T))
    if not any(NAMES[name][0] in table for name in POSITIONS):
        raise FormatError(f"no {', '.join(POSITIONS)}: found {', '.join(file.variables)}")
    return table


def _at(file: Any, name: str, number: int) -> Any:
    if name not in file.variables:
        return None
    variable = file.variables[name]
    return np.asarray(variable[number] if variable.dimensions[:1] == ("frame",) else variable[...])


def _n_frames(file: Any) -> int:
    return len(file.dimensions["frame"]) if "frame" in file.dimensions else 1


@contextmanager
def _opened(path: str) -> Iterator[Any]:
    try:
        import netCDF4
    except ImportError:
        raise FormatError(f"{path}: NetCDF needs the package netCDF4: {install('io')}") from None
    with _LOCK:
        try:
            with netCDF4.Dataset(path) as file:
                file.set_auto_mask(False)
                yield file
        except GlassdaskError as error:
            raise type(error)(f"{path}: {error}".replace(f"{path}: {path}", path)) from None
        except (OSError, RuntimeError, KeyError, ValueError, TypeError, IndexError) as error:
            raise FormatError(
                f"{path}: not a readable NetCDF trajectory ({brief(error)}): write or copy it again"
            ) from None
