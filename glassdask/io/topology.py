"""Species of the particles for files that have none: from another file that glassdask reads, or given as a list."""

from __future__ import annotations

import os
from contextlib import closing
from typing import Any

import numpy as np

from glassdask.errors import FormatError, ParameterError, SpeciesError, brief, install
from glassdask.io.frame import Frame
from glassdask.names import names_given

# What mdtraj knows as topologies beside those that hold positions.
TOPOLOGIES = (".psf", ".prmtop", ".parm7", ".mol2", ".pdb", ".pdb.gz", ".gro", ".pdbx", ".cif", ".mmcif", ".hoomdxml")


def species_of(path: str, n_particles: int | None, topology: str | None, species: Any, by: str = "name") -> np.ndarray:
    """Names of the particles of the file `path`, from a `topology` or the list `species`.

    The topology is any file that glassdask reads; its first frame counts, its particles sorted by their ids. Of PDB,
    GRO, PSF and what else mdtraj takes for topologies these are the names of the atoms, or, `by` "element", elements.
    """
    if topology is not None and species is not None:
        raise ParameterError(f"{path}: both topology and species are given: leave out one of them")
    if species is not None:
        names = names_given(species).astype(str)
        where = "species"
    elif topology is not None:
        names = _names(os.fspath(topology), by)
        where = str(topology)
    else:
        raise FormatError(
            f"{path}: has no species: give `topology=FILE` with the same particles (a LAMMPS data file or dump, XYZ, "
            "GSD, PDB, ...), or `species=['A', 'B']` with as many names"
        )
    if names.ndim != 1 or n_particles not in (None, len(names)):
        raise SpeciesError(
            f"{path}: {n_particles} particles, but {where} has {names.size}: give one with the same particles"
        )
    return names


def _names(path: str, by: str) -> np.ndarray:
    from glassdask.io import reading
    from glassdask.io.formats import find_format
    from glassdask.io.sources import sorted_by_id

    if not os.path.exists(path):
        raise FormatError(f"{path}: no such file, it was to give the species: check its path")
    if path.lower().endswith(TOPOLOGIES):
        return _atoms(path, by)
    name = find_format(path)
    reading.survey(path, name)  # its errors are of the whole file
    with closing(reading.read(path, name, 0, 1, 0)) as stream:
        frame: Frame = sorted_by_id(next(stream), f"{path}, frame 0")
    names: np.ndarray = np.array(frame.species)[frame.codes]
    return names


def _atoms(path: str, by: str) -> np.ndarray:
    try:
        import mdtraj
    except ImportError:
        raise FormatError(f"{path}: topologies need the package mdtraj: {install('io')}") from None
    try:
        atoms = list(mdtraj.load_topology(path).atoms)
    except Exception as error:  # each of mdtraj's formats raises its own
        raise FormatError(f"{path}: mdtraj cannot read it as a topology ({brief(error)}): check the file") from None
    return atom_names(atoms, by)


def atom_names(atoms: Any, by: str) -> np.ndarray:
    """The names, or `by` "element" the elements, of mdtraj's atoms."""
    return np.array([(atom.element.symbol if by == "element" else atom.name) or "" for atom in atoms])
