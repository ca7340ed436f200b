"""DCD, XTC, TRR, mdcrd, DTR, PDB, GRO and the HDF5 files of mdtraj, with a topology for the species.

Numbers are those of the file (nanometres where the format has them, else ångström, or whatever was called so): DCD,
XTC and TRR hold single precision, and so do their cells. XTC keeps three decimals unless it was written with a higher
precision, GRO and PDB three: a distance between particles of size 1 is then wrong by up to 1e-3. Do not compute
dynamics at short times from them. Times are kept from XTC, TRR, DTR and HDF5, velocities from HDF5. PDB and GRO files
are read as a whole, the others in pieces; a PDB file has one cell for all its frames.

``topology=`` is a file with the same particles that glassdask or mdtraj reads, ``species=`` a list of names; PDB, GRO
and HDF5 files have their own. Of these, species are the names of the atoms, or their elements with
``columns={"species": "element"}``.
"""

from __future__ import annotations

import ctypes
import os
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from glassdask.errors import FormatError, GlassdaskError, ParameterError, brief, install
from glassdask.files import sha256
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.topology import atom_names, species_of

HDF5 = (".h5", ".hdf5")
AT_ONCE = (".pdb", ".pdb.gz", ".gro", ".cif", ".mmcif", ".pdbx")  # with a topology of their own, as are HDF5 files
NANOMETRES = (".gro",)  # of these
FRAMES_IN_CHUNK = 10
_LOCK = threading.Lock()


@dataclass(frozen=True)
class Piece:
    """Some frames of a file; `atoms` are those of the topology that is inside the file."""

    position: np.ndarray
    time: np.ndarray | None = None
    cell: np.ndarray | None = None
    velocity: np.ndarray | None = None
    atoms: Any = None


def survey(
    path: str, columns: dict[str, str] | None = None, topology: str | None = None, species: list[str] | None = None
) -> Survey:
    """Count the frames of a file."""
    digest = sha256(path)
    n_frames, times = 0, []
    for piece in _pieces(path, 0, topology, species):
        n_frames += len(piece.position)
        times += [] if piece.time is None else [np.asarray(piece.time, dtype=np.float64)]
    timed = np.concatenate(times) if times else None
    return Survey(n_frames, digest, None, _suffix(path) not in AT_ONCE, times=timed)


def read(
    path: str,
    start: int,
    stop: int,
    offset: int = 0,
    columns: dict[str, str] | None = None,
    topology: str | None = None,
    species: list[str] | None = None,
) -> Generator[Frame, None, None]:
    """Frames of a file."""
    by = (columns or {}).get("species", "name")
    if by not in ("name", "element"):
        raise ParameterError(f"{path}: species are the 'name' or the 'element' of the atoms, found columns={columns}")
    names: list[str | int] = []
    codes = None
    number = start
    for piece in _pieces(path, start, topology, species):
        if codes is None:
            if piece.atoms is not None and topology is None and species is None:
                labels = atom_names(piece.atoms, by)
            else:
                labels = species_of(path, piece.position.shape[1], topology, species, by)
            codes = encode(labels, names)
        for k in range(len(piece.position)):
            if number == stop:
                return
            cell = None if piece.cell is None else piece.cell[k].astype(np.float64)
            yield Frame(
                piece.position[k],
                tuple(str(name) for name in names),
                codes,
                cell if cell is not None and cell.any() else None,
                velocity=None if piece.velocity is None else piece.velocity[k].astype(np.float64),
                time=None if piece.time is None else float(piece.time[k]),
                told=False,
            )
            number += 1


def _pieces(path: str, start: int, topology: str | None, species: Any) -> Iterator[Piece]:
    """Frames from `start` on, one thread at a time: the libraries below HDF5 bear no more."""
    try:
        import mdtraj
    except ImportError:
        raise FormatError(f"{path}: this format needs the package mdtraj: {install('io')}") from None
    suffix = _suffix(path)
    try:
        if suffix in AT_ONCE:
            found = mdtraj.load(path, no_boxchk=True) if suffix.startswith(".pdb") else mdtraj.load(path)
            scale = 1.0 if suffix in NANOMETRES else 10.0
            cell = found.unitcell_vectors
            yield Piece(
                found.xyz[start:].astype(np.float64) * scale,
                cell=None if cell is None else cell[start:].astype(np.float64) * scale,
                atoms=list(found.topology.atoms),
            )
            return
        count = {}
        if suffix in (".mdcrd", ".crd"):  # which does not tell
            count = {"n_atoms": len(species_of(path, None, topology, species))}
        with _LOCK, _quiet():
            file = mdtraj.open(path, **count)
        try:
            with _LOCK:
                inside = file.topology if suffix in HDF5 else None
                atoms = None if inside is None else list(inside.atoms)
                file.seek(start)
            while True:
                with _LOCK:
                    piece = _piece(suffix, file.read(n_frames=FRAMES_IN_CHUNK), atoms)
                if not len(piece.position):
                    return
                yield piece
        finally:
            with _LOCK:
                file.close()
    except GlassdaskError:
        raise
    except Exception as error:  # each of mdtraj's formats raises its own
        raise FormatError(f"{path}: mdtraj cannot read it ({brief(error)}): check file, format and topology") from None


@contextmanager
def _quiet() -> Iterator[None]:
    """What is printed below Python, about every DCD file that is opened, goes nowhere."""
    library = ctypes.CDLL(None)
    saved, nowhere = os.dup(1), os.open(os.devnull, os.O_WRONLY)
    try:
        library.fflush(None)
        os.dup2(nowhere, 1)
        yield
    finally:
        library.fflush(None)
        os.dup2(saved, 1)
        os.close(saved)
        os.close(nowhere)


def _piece(suffix: str, found: Any, atoms: Any) -> Piece:
    """What each of mdtraj's formats calls its values, in the units of the file."""
    if not len(found):  # the end of an HDF5 file
        return Piece(np.empty((0, 0, 3)))
    if suffix in HDF5:
        return Piece(
            found.coordinates, found.time, cells(found.cell_lengths, found.cell_angles), found.velocities, atoms
        )
    if suffix in (".xtc", ".trr"):
        return Piece(found[0], found[1], found[3])
    if suffix == ".dcd":
        return Piece(found[0], cell=cells(*found[1:]))
    if suffix == ".dtr":
        return Piece(found[0], found[1], cells(*found[2:]))
    if suffix in (".mdcrd", ".crd"):
        return Piece(found[0], cell=cells(found[1], None if found[1] is None else np.full_like(found[1], 90.0)))
    return Piece(found)  # .lh5


def cells(lengths: np.ndarray | None, angles: np.ndarray | None) -> np.ndarray | None:
    """Cell vectors as rows (frame, axis, space) from edge lengths and angles in degrees, a along x, b in the plane xy.

    >>> cells(np.array([[2.0, 2.0, 3.0]]), np.array([[90.0, 90.0, 60.0]]))[0].round(3).tolist()
    [[2.0, 0.0, 0.0], [1.0, 1.732, 0.0], [0.0, 0.0, 3.0]]
    """
    if lengths is None or angles is None:
        return None
    lengths = np.asarray(lengths, dtype=np.float64)
    angles = np.asarray(angles, dtype=np.float64)
    # exactly zero at 90 degrees
    alpha, beta, gamma = np.where(angles == 90.0, 0.0, np.cos(np.radians(angles))).T
    a, b, c = lengths.T
    sine = np.sqrt(1.0 - gamma**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        tilt = np.where(sine > 0, (alpha - beta * gamma) / sine, 0.0)
    zero = np.zeros_like(a)
    height = np.sqrt(np.maximum(0.0, 1.0 - beta**2 - tilt**2))
    rows = [[a, zero, zero], [b * gamma, b * sine, zero], [c * beta, c * tilt, c * height]]
    return np.moveaxis(np.array(rows), -1, 0)


def _suffix(path: str) -> str:
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return "".join(suffixes[-2:]) if suffixes[-1:] == [".gz"] else "".join(suffixes[-1:])
