"""LAMMPS dump text, plain or compressed; any column order, any order of atoms, orthogonal and triclinic cells.

Positions come from ``x y z``, ``xs ys zs`` (scaled), ``xu yu zu`` (unwrapped) or ``xsu ysu zsu`` (both); where several
are there, wrapped ones are taken if image flags ``ix iy iz`` come with them, then unwrapped ones, for these keep the
images. Optional: ``id``, ``vx vy vz``, a per-atom energy (`ENERGY`, or named by ``columns={"energy": "c_1"}``), and
``radius`` or ``diameter``. Species are ``element`` or ``typelabel``, unless ``type`` tells more particles apart;
without any of them all particles are of the species 1. ``keep=["q"]`` keeps further columns, ``keep=["all"]`` all that
hold numbers: whole ones where LAMMPS writes such (`INTEGERS`), else floats. The lower corner of the box is subtracted
from x and xu, and kept as ``origin``. A dump that says nothing about its boundaries is taken as periodic. Other
programs' dumps are understood, too: two bounds, a single tilt or two pairs of flags in two dimensions, steps as floats,
exponents of Fortran, blank lines; and the dumps of LAMMPS before 2010, which do not name their columns.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey, named_column, right_handed
from glassdask.io.tables import SIZES, column_of, kept_columns, of_diameters, telling_species
from glassdask.schema import CODE

ENERGY = ("c_pe", "pe", "c_peatom", "c_eng", "c_energy", "energy")
IMAGES = ("ix", "iy", "iz")
VELOCITIES = ("vx", "vy", "vz")
LABELS = ("element", "typelabel")
INTEGERS = ("mol", "type", "proc", "procp1", "ix", "iy", "iz")
OLD = ["id", "type", "xs", "ys", "zs", "ix", "iy", "iz"]


@dataclass
class Header:
    """The lines before the atom lines."""

    n_particles: int = -1
    step: int | None = None
    time: float | None = None
    columns: list[str] = field(default_factory=list)
    box: np.ndarray = field(default_factory=lambda: np.empty(0))
    origin: np.ndarray = field(default_factory=lambda: np.empty(0))
    periodic: tuple[bool, ...] = (True, True, True)

    @property
    def width(self) -> int:
        """Words of an atom line."""
        return len(self.columns)


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = (), growing: bool = False) -> Survey:
    """Find the frames of a dump."""
    return text.survey(path, read_header, growing)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a dump; `columns` may name the columns of "species", "energy" and "diameter"."""
    return text.read(
        path, start, stop, offset, read_header, lambda lines, head: _body(lines, head, columns or {}, keep)
    )


def read_header(lines: text.Lines) -> Header | None:
    """The header of the next frame, or None at the end of the file."""
    line = lines.filled()
    if line is None:
        return None
    header = Header()
    while True:
        if line.startswith("ITEM: TIMESTEP"):
            header.step = _integer(lines.required(), "TIMESTEP")
        elif line.startswith("ITEM: TIME"):
            header.time = _numbers(lines.required(), (1,), "TIME")[0]
        elif line.startswith("ITEM: UNITS"):
            lines.required()
        elif line.startswith("ITEM: NUMBER OF ATOMS"):
            header.n_particles = _integer(lines.required(), "NUMBER OF ATOMS")
        elif line.startswith("ITEM: BOX BOUNDS"):
            _read_box(lines, line.split()[3:], header)
        elif line.startswith("ITEM: ATOMS"):
            header.columns = line.split()[2:]
            break
        else:
            raise FormatError(
                f"expected a line 'ITEM: ...' of a LAMMPS dump, found '{line[:60]}': either NUMBER OF ATOMS of the "
                "frame before is not the number of its atom lines, or this is no dump"
            )
        line = lines.filled()
        if line is None:
            raise EOFError
    if header.n_particles < 0 or (header.n_particles and not header.box.size):
        raise FormatError(
            f"{'no' if header.n_particles < 0 else header.n_particles} atoms and {'a' if header.box.size else 'no'} "
            "box before ITEM: ATOMS: both NUMBER OF ATOMS and BOX BOUNDS are needed"
        )
    return header


def _read_box(lines: text.Lines, words: list[str], header: Header) -> None:
    rows = []
    for _ in range(3):
        row = lines.peek()
        if row is None or row.startswith("ITEM:"):
            break
        rows.append(lines.required())
    if len(rows) < (3 if words[:1] == ["abc"] else 2):
        if lines.peek() is None:
            raise EOFError
        raise FormatError(f"BOX BOUNDS has {len(rows)} lines, expected 3 (2 in two dimensions): the file is damaged")
    header.box, header.origin, header.periodic = _cell(tuple(words), tuple(rows))


@lru_cache(16)
def _cell(words: tuple[str, ...], lines: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray, tuple[bool, ...]]:
    """Cell vectors, lower corner and which axes repeat; the box of the frame before is known."""
    general = words[:2] == ("abc", "origin")
    tilts = [word for word in words if word in ("xy", "xz", "yz")]
    rows = np.array([_numbers(line, (4 if general else 3 if tilts else 2,), "BOX BOUNDS") for line in lines])
    n = len(rows)
    flags = words[2:] if general else words[len(tilts) :]
    periodic = (*(flag == "pp" for flag in flags), True, True, True)[:n]
    if general:
        return rows[:, :3], rows[:, 3], periodic
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    cell = np.zeros((n, n))
    if tilts:
        # the bounds are those of the box that encloses the cell (LAMMPS manual, Howto_triclinic)
        xy, xz, yz = (*rows[:, 2], 0.0)[:3] if n == 3 else (rows[0, 2], 0.0, 0.0)
        low[:2] -= (min(0.0, xy, xz, xy + xz), min(0.0, yz))
        high[:2] -= (max(0.0, xy, xz, xy + xz), max(0.0, yz))
        cell[1, 0] = xy
        cell[2:, :2] = xz, yz
    cell[np.arange(n), np.arange(n)] = high - low
    return cell, low, periodic


def _body(lines: text.Lines, header: Header, columns: dict[str, str], keep: Sequence[str]) -> Frame:
    notes: tuple[str, ...] = ()
    found = header.columns
    if not found:
        words = len((lines.peek() or "").split())
        if words not in (5, 8):
            raise FormatError(
                f"ITEM: ATOMS names no columns, and the atom lines have {words}, LAMMPS before 2010 wrote 5 (id type "
                "xs ys zs) or 8 (and ix iy iz): name them in the line ITEM: ATOMS"
            )
        found = OLD[:words]
        notes += (f"ITEM: ATOMS names no columns: they are taken for {' '.join(found)}, as LAMMPS wrote before 2010",)
        header = replace(header, columns=found)
    return frame_of(header, columns, keep, lambda fields: lines.table(header.n_particles, fields), notes)


def frame_of(
    header: Header,
    columns: dict[str, str],
    keep: Sequence[str],
    table_of: Callable[[list[text.Column]], dict[str, Any]],
    notes: tuple[str, ...] = (),
) -> Frame:
    """A frame from the columns of a dump, which `table_of` gives as `glassdask.io.text.Lines.table` does."""
    found = header.columns
    position, image, velocity = _vectors(found)
    energy = named_column(columns, "energy", ENERGY, found)
    diameter = named_column(columns, "diameter", SIZES, found) if columns.get("diameter") != "" else None
    given = named_column(columns, "species", (), found)
    labels = [given] if given else [name for name in (*LABELS, "type") if name in found]
    roles = dict.fromkeys(position, "position") | dict.fromkeys(image, "image") | dict.fromkeys(velocity, "velocity")
    roles |= {name: role for name, role in ((energy, "energy"), ("id", "id"), (diameter, "diameter")) if name in found}
    kept = kept_columns(keep, found, roles, words=labels)
    components = {name: k for vector in (position, image, velocity) for k, name in enumerate(vector)}
    fields: list[text.Column] = []
    for name in found:
        if name in labels:
            fields.append((name, name, "s", 0))  # types may have labels
        elif name in roles or name in kept:
            whole = roles.get(name) in ("image", "id") or (name in INTEGERS and name not in roles)
            fields.append((name, roles.get(name, name), "i" if whole else "f", components.get(name, 0)))
        else:
            fields.append((name, name, "", 0))
    table = table_of(fields)
    species, line = (given, ()) if given else telling_species(LABELS, labels, table)
    notes += line
    if species is None:
        codes, names = np.zeros(header.n_particles, dtype=CODE), ["1"]
        notes += ("no column says what the species are (type or element): all particles are of the species 1",)
    else:
        codes, names = table[species], table["words"][species]
    kind, n_space = position[0][1:], len(position)
    for name, of in (("image", image), ("velocity", velocity)):
        if len(of) == n_space - 1:  # of a plane, in a file with z
            flat = np.ptp(table["position"][:, 2]) == 0.0 if header.n_particles else True
            if not flat and name == "image":
                raise FormatError(f"image flags {' '.join(IMAGES)} are not all there: found columns {' '.join(found)}")
            roles = {column: role for column, role in roles.items() if flat or role != name}
            table[name] = np.column_stack([table[name], np.zeros_like(table[name][:, :1])]) if flat else None
    box = header.box[:n_space, :n_space]
    place = table["position"] @ box if "s" in kind else table["position"] - header.origin[:n_space]
    sizes, line = (None, ()) if diameter is None else of_diameters(table["diameter"], diameter)
    frame = Frame(
        place,
        tuple(names),
        codes,
        box,
        header.periodic[:n_space],
        header.origin[:n_space],
        table["image"] if image else np.zeros(place.shape, dtype=np.int32) if "u" in kind else None,
        velocity=table.get("velocity"),
        energy=table.get("energy"),
        diameter=sizes,
        time=header.time,
        step=header.step,
        id=table.get("id"),
        kept={name: column_of(table, name, roles) for name in kept},
        unread=tuple(name for name in found if name not in {*roles, *kept, species}),
        species_column=species,
        notes=notes + line,
    )
    return right_handed(frame)


def _vectors(found: list[str]) -> tuple[list[str], list[str], list[str]]:
    """The columns of positions, images and velocities."""
    has_images = all(name in found for name in IMAGES[:2])
    kinds = ("x", "xs", "xu", "xsu") if has_images else ("xu", "xsu", "x", "xs")
    kind = next((k for k in kinds if k in found and "y" + k[1:] in found), None)
    if kind is None:
        raise FormatError(
            f"found columns {' '.join(found)}; expected positions (x y z, xs ys zs, xu yu zu or xsu ysu zsu): write "
            "them with LAMMPS's dump custom"
        )
    position = [axis + kind[1:] for axis in "xyz" if axis + kind[1:] in found]
    other = next((name for name in ("z", "zs", "zu", "zsu") if name in found), None)
    if len(position) == 2 and other is not None:
        raise FormatError(
            f"positions are {' '.join(position)} and {other}, which do not belong together: write all three in one "
            "way, or in two dimensions no z"
        )
    # in a plane those along z may be missing, also where z is there: `frame_of` sees to that
    image = [name for name in IMAGES[: len(position)] if name in found] if has_images and "u" not in kind else []
    velocity = [name for name in VELOCITIES[: len(position)] if name in found]
    return position, image, velocity if {"vx", "vy"} <= {*velocity} else []


def _integer(line: str, what: str) -> int:
    value = text.whole((text.numbers_of(line.split()) or [0.5])[0], what, line)
    return int(line) if line.isdigit() else value


def _numbers(line: str, counts: tuple[int, ...], what: str) -> list[float]:
    values = text.numbers_of(line.split())
    if len(values) not in counts:
        expected = " or ".join(map(str, counts))
        raise FormatError(f"{what} has the line '{line[:60]}', expected {expected} numbers: the file is damaged")
    return values
