"""Everything else that mdtraj reads: DCD, XTC, TRR, NetCDF, HDF5, PDB, GRO and more, with a topology for the species.

mdtraj thinks in nanometres and single precision. What that does to numbers in reduced units:

- Formats in ångström (DCD, NetCDF, PDB, ...) are divided by ten by mdtraj; this reader multiplies again, so that the
  numbers are those of the file to a relative 1.2e-7. XTC, TRR, HDF5 and GRO are in nanometres and stay as they are.
- XTC keeps three decimals unless it was written with a higher precision, GRO three and PDB three: a distance between
  particles of size 1 is then wrong by up to 1e-3. Do not compute dynamics at short times from them.
- Cells pass through lengths and angles in single precision: 1e-7 relative.
- mdtraj drops velocities. Times are kept from XTC, TRR, NetCDF and HDF5 only; elsewhere mdtraj counts frames.
- A PDB file has one cell for all its frames, and mdtraj reads it as a whole; other formats are read in pieces.

``topology=`` is a file with the same particles (PDB, GRO, HDF5, PSF, ...), needed by all formats except PDB, GRO and
HDF5. Species are the names of its atoms, or their elements with ``columns={"species": "element"}``.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import FormatError, ParameterError
from glassdask.io.frame import Frame, Survey, encode

NANOMETRES = (".xtc", ".trr", ".h5", ".hdf5", ".lh5", ".gro")
TIMED = (".xtc", ".trr", ".h5", ".hdf5", ".lh5", ".nc", ".ncdf", ".netcdf")
OWN_TOPOLOGY = (".pdb", ".pdb.gz", ".gro", ".h5", ".hdf5", ".lh5", ".pdbx", ".cif", ".mmcif")
AT_ONCE = (".pdb", ".pdb.gz")
FRAMES_IN_CHUNK = 10
_LOCK = threading.Lock()


def survey(path: str, columns: dict[str, str] | None = None, topology: str | None = None) -> Survey:
    """Count the frames of a file."""
    with open(path, "rb") as raw:
        digest = hashlib.file_digest(raw, "sha256").hexdigest()
    times = np.concatenate([np.empty(0), *(np.asarray(piece.time, float) for piece in _pieces(path, 0, topology))])
    timed = times if _suffix(path) in TIMED else None
    return Survey(len(times), digest, None, _suffix(path) not in AT_ONCE, times=timed)


def read(
    path: str,
    start: int,
    stop: int,
    offset: int = 0,
    columns: dict[str, str] | None = None,
    topology: str | None = None,
) -> Generator[Frame, None, None]:
    """Frames of a file; see the module for what single precision and mdtraj's units do."""
    suffix = _suffix(path)
    scale = 1.0 if suffix in NANOMETRES else 10.0
    kind = (columns or {}).get("species", "name")
    if kind not in ("name", "element"):
        raise ParameterError(f"{path}: species are the 'name' or the 'element' of the atoms, found columns={columns}")
    by_element = kind == "element"
    names: list[str | int] = []
    codes = None
    number = start
    for piece in _pieces(path, start, topology):
        if codes is None:
            atoms = piece.topology.atoms
            codes = encode(
                np.array([(atom.element.symbol if by_element else atom.name) or "" for atom in atoms]), names
            )
        for k in range(len(piece)):
            if number == stop:
                return
            cell = piece.unitcell_vectors
            yield Frame(
                piece.xyz[k].astype(np.float64) * scale,
                tuple(str(name) for name in names),
                codes,
                None if cell is None else cell[k].astype(np.float64) * scale,
                time=float(piece.time[k]) if suffix in TIMED else None,
                told=False,
            )
            number += 1


def _pieces(path: str, start: int, topology: str | None) -> Iterator[Any]:
    try:
        import mdtraj
    except ImportError:
        raise FormatError(f"{path}: this format needs the package mdtraj: pip install 'glassdask[io]'") from None
    suffix = _suffix(path)
    if topology is None and suffix not in OWN_TOPOLOGY:
        raise FormatError(f"{path}: mdtraj needs the names of the particles: give topology=FILE (PDB, GRO, HDF5, ...)")
    extra: dict[str, Any] = {} if suffix in (".pdb", ".pdb.gz", ".h5", ".hdf5", ".lh5") else {"top": topology or path}
    try:
        if suffix in AT_ONCE:  # iterload would not skip
            yield mdtraj.load(path)[start:]
        else:
            yield from _locked(mdtraj.iterload(path, chunk=FRAMES_IN_CHUNK, skip=start, **extra))
    except Exception as error:  # each of mdtraj's formats raises its own
        message = " ".join(str(error).split())
        raise FormatError(f"{path}: mdtraj cannot read it ({message[:200]}): check file, format and topology") from None


def _locked(pieces: Any) -> Iterator[Any]:
    """The pieces, read by one thread at a time: the libraries below HDF5 and NetCDF bear no more."""
    try:
        while True:
            with _LOCK:
                piece = next(pieces, None)
            if piece is None:
                return
            yield piece
    finally:
        with _LOCK:
            pieces.close()


def _suffix(path: str) -> str:
    suffixes = Path(path).suffixes
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])
