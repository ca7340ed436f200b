"""What all files of a store have in common: their particles, dimensions and variables."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from glassdask.errors import FormatError
from glassdask.io.kept import Kept
from glassdask.io.roster import TOGETHER, OtherParticlesError, Roster
from glassdask.io.sources import OPTIONAL, SourceIndex
from glassdask.store.arrays import array_info, read_region

# Formats in which the same line of two frames need not be the same particle, and why.
LAMMPS = "LAMMPS exchanges the lines of particles now and then"
EXCHANGED = {
    **dict.fromkeys(("lammps", "lammps_binary", "lammps_yaml", "cfg"), LAMMPS),
    "tracks": "rows of a table are in any order",
}


@dataclass(frozen=True)
class Reference:
    """What all files of a store have in common."""

    where: str
    names: np.ndarray
    n_space: int
    variables: tuple[str, ...]
    id: np.ndarray | None
    told: bool  # whether the positions are wrapped; else images are what wrapping finds
    roster: Roster | None = None
    periodic: tuple[bool, ...] = (True, True, True)
    constant: tuple[str, ...] = ()  # variables that are the same in all frames, and are not written again
    columns: Kept = field(default_factory=dict)  # what the columns are stored as


def common_variables(indexes: list[SourceIndex]) -> tuple[str, ...]:
    """The variables of a store of these files: see `ingest`."""
    names = set(indexes[0].variables)
    if any("origin" in index.variables for index in indexes):
        names.add("origin")
    if not indexes[0].told and all("image" in index.variables or not index.told for index in indexes):
        names.add("image")
    return tuple(dict.fromkeys(name for name in (*OPTIONAL, *indexes[0].kept) if name in names))


def alike(index: SourceIndex, reference: Reference) -> SourceIndex:
    """The index with the variables of the reference, after a check that the file has what the reference has."""
    if index.n_space != reference.n_space:
        raise FormatError(
            f"{index.path}: {index.n_space} dimensions, {reference.where} has {reference.n_space}: ingest it into "
            "another store"
        )
    if index.periodic != reference.periodic[: index.n_space]:
        raise FormatError(
            f"{index.path}: the box repeats along other axes than in {reference.where}: ingest it into another store, "
            "or say along which axes it does, such as `periodic='xy'`"
        )
    if reference.roster is None:
        _check_particles(index, reference)
    else:
        index = seated(index, reference.roster)
    found_or_zero = {"origin"} if index.told or reference.told else {"origin", "image"}
    missing = [name for name in reference.variables if name not in {*index.variables, *found_or_zero}]
    if missing:
        remedy = ", or say `wrapped=False` if its positions are not wrapped" if missing == ["image"] else ""
        if missing == ["time"] and index.clock_name == "step":
            remedy = ", or say the time of one step, such as `dt=0.005`"
        if not {*missing} & {*OPTIONAL}:
            remedy = f", with `keep={sorted({*reference.variables} - {*OPTIONAL})}`"
        raise FormatError(
            f"{index.path}: no {', '.join(missing)}, which {reference.where} has: write it with them{remedy}"
        )
    variables = tuple(name for name in reference.variables if name not in reference.constant)
    columns = {**index.kept, **{name: reference.columns[name] for name in variables if name in reference.columns}}
    return replace(index, variables=variables, kept=columns, id=None if reference.id is None else index.id)


def _check_particles(index: SourceIndex, reference: Reference) -> None:
    """Raise `OtherParticlesError` unless the first frame has the particles of the reference."""
    n_particles = len(reference.names)
    if index.n_particles != n_particles:
        raise OtherParticlesError(
            f"{index.path}: {index.n_particles} particles, {reference.where} has {n_particles}: {TOGETHER}"
        )
    names = np.array(index.species)[index.codes]
    if not np.array_equal(names, reference.names):
        particle = int(np.argmax(names != reference.names))
        raise OtherParticlesError(
            f"{index.path}, frame 0, particle {particle}: species is {names[particle]}, in {reference.where} it is "
            f"{reference.names[particle]}: {TOGETHER}, or name the species alike, such as `species_names={{1: 'A'}}`"
        )
    if reference.id is not None and not same_ids(index.id, reference.id):
        raise OtherParticlesError(f"{index.path}: the ids are not those of {reference.where}: {TOGETHER}")


def of_files(notes: Iterable[tuple[str, str]]) -> list[str]:
    """Lines from (path, what is to be told of it), each of them once."""
    found: dict[str, list[str]] = {}
    for path, note in notes:
        found.setdefault(note, []).append(path)
    return [
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''}: {note}" for note, paths in found.items()
    ]


def left_out(indexes: list[SourceIndex], variables: tuple[str, ...], where: str, more: Iterable[str] = ()) -> list[str]:
    """Lines about what only some of the files have, and the store therefore has not; `more` is that of some frames."""
    lost = [(index.path, " ".join(name for name in index.variables if name not in variables)) for index in indexes]
    lines = of_files((path, f"{names}, which {where} has not: not kept") for path, names in lost if names)
    told = {*variables, *(name for index in indexes for name in (*index.variables, *index.unread))}
    if later := " ".join(sorted({*more} - told)):
        lines.append(f"{later}, which the first frame has not and later ones have: not kept")
    return lines


def by_line(indexes: list[SourceIndex], *, ids: bool = True) -> list[str]:
    """Lines about files that have no ids where that says nothing of who is who; `ids` False: the store has none."""
    some = any(index.id is not None for index in indexes)
    lines = of_files(
        (
            index.path,
            f"no ids, and {EXCHANGED[index.format]}: displacements are refused"
            if index.format in EXCHANGED
            else "no ids, by which particles of other files are sorted: displacements are refused",
        )
        for index in indexes
        if index.id is None and (some or index.format in EXCHANGED)
    )
    if some and not ids:
        lines.append("the store has no ids, by which particles of these files are sorted: displacements are refused")
    return lines


def same_ids(one: np.ndarray | None, other: np.ndarray | None) -> bool:
    """Whether both have ids, and the same."""
    return one is not None and other is not None and np.array_equal(one, other)


def seated(index: SourceIndex, roster: Roster | None) -> SourceIndex:
    """The index of a file whose particles are those of a roster, where there is one."""
    return index if roster is None else replace(index, roster=roster, species=roster.names, id=None)


def stored_roster(group: Path) -> Roster | None:
    """Whom a store has; None where all frames have the same particles, of the same species."""
    species = array_info(group, "species")
    constant, absent = species.dims == ("particle",), (group / "present" / "zarr.json").exists()
    if constant and not absent:
        return None
    whole = (slice(0, species.shape[-1]),)
    has_id = (group / "id" / "zarr.json").exists()
    return Roster(
        names=tuple(species.attrs["flag_meanings"]),
        n_particles=species.shape[-1],
        id=read_region(array_info(group, "id"), whole) if has_id else None,
        codes=read_region(species, whole) if constant else None,
        absent=absent,
    )
