"""LAMMPS dump text: plain, gzip or zstd; any column order, any order of atoms, orthogonal and triclinic cells.

Positions come from ``x y z``, ``xs ys zs`` (scaled), ``xu yu zu`` (unwrapped) or ``xsu ysu zsu`` (both); where several
are there, wrapped ones are taken if image flags ``ix iy iz`` come with them, then unwrapped ones, for these keep the
images. Optional: ``id``, ``vx vy vz``, ``element`` or ``type``, and a per-atom energy (`ENERGY`, or named by
``columns={"energy": "c_1"}``). The lower corner of the box is subtracted from x and xu, and kept as ``origin``. A dump
that says nothing about its boundaries is taken as periodic.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey, named_column

ENERGY = ("c_pe", "pe", "c_peatom", "c_eng", "c_energy", "energy")
IMAGES = ("ix", "iy", "iz")
VELOCITIES = ("vx", "vy", "vz")


@dataclass
class Header:
    """The lines before the atom lines."""

    n_particles: int = 0
    step: int | None = None
    time: float | None = None
    columns: list[str] = field(default_factory=list)
    box: np.ndarray = field(default_factory=lambda: np.empty(0))
    origin: np.ndarray = field(default_factory=lambda: np.empty(0))
    periodic: tuple[bool, ...] = (True, True, True)


def survey(path: str, columns: dict[str, str] | None = None, growing: bool = False) -> Survey:
    """Find the frames of a dump."""
    return text.survey(path, read_header, growing)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None
) -> Generator[Frame, None, None]:
    """Frames of a dump; `columns` may name the columns of "species" and "energy"."""
    return text.read(path, start, stop, offset, read_header, lambda lines, head: _body(lines, head, columns or {}))


def read_header(lines: text.Lines) -> Header | None:
    """The header of the next frame, or None at the end of the file."""
    line = lines.line()
    while line == "":  # between frames, and at the end of a file
        line = lines.line()
    if line is None:
        return None
    header = Header()
    while True:
        if line.startswith("ITEM: TIMESTEP"):
            header.step = _integer(lines.required(), "TIMESTEP")
        elif line.startswith("ITEM: TIME"):
            header.time = _numbers(lines.required(), 1, "TIME")[0]
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
                "frame before is not the number of its atom lines, or this is no dump (name another format=)"
            )
        line = lines.required()
    if header.n_particles < 1 or not header.box.size:
        raise FormatError(
            f"{header.n_particles} atoms and {'no' if not header.box.size else 'a'} box before ITEM: ATOMS: "
            "both NUMBER OF ATOMS and BOX BOUNDS are needed"
        )
    return header


def _read_box(lines: text.Lines, words: list[str], header: Header) -> None:
    general = words[:2] == ["abc", "origin"]
    tilted = words[:3] == ["xy", "xz", "yz"]
    rows = np.array([_numbers(lines.required(), 4 if general else 3 if tilted else 2, "BOX BOUNDS") for _ in range(3)])
    flags = words[2:] if general else words[3:] if tilted else words
    header.periodic = tuple(flag == "pp" for flag in flags) if flags else (True, True, True)
    if general:
        header.box, header.origin = rows[:, :3], rows[:, 3]
        return
    low, high = rows[:, 0].copy(), rows[:, 1].copy()
    cell = np.zeros((3, 3))
    if tilted:
        # the bounds are those of the box that encloses the cell (LAMMPS manual, Howto_triclinic)
        xy, xz, yz = rows[:, 2]
        low -= (min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0)
        high -= (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
        cell[1, 0], cell[2, 0], cell[2, 1] = xy, xz, yz
    cell[[0, 1, 2], [0, 1, 2]] = high - low
    header.box, header.origin = cell, low


def _body(lines: text.Lines, header: Header, columns: dict[str, str]) -> Frame:
    found = header.columns
    species = named_column(columns, "species", ("element", "type"), found)
    energy = named_column(columns, "energy", ENERGY, found)
    has_images = all(name in found for name in IMAGES[:2])
    kinds = ("x", "xs", "xu", "xsu") if has_images else ("xu", "xsu", "x", "xs")
    kind = next((k for k in kinds if k in found and "y" + k[1:] in found), None)
    if kind is None or species is None:
        raise FormatError(
            f"found columns {' '.join(found) or '(none)'}; expected positions (x y z, xs ys zs, xu yu zu or xsu ysu "
            "zsu) and a species (type or element, or columns={'species': ...}): write them with LAMMPS's dump custom"
        )
    axes = [axis + kind[1:] for axis in "xyz" if axis + kind[1:] in found]
    roles = dict.fromkeys(axes, "f8")
    images = IMAGES[: len(axes)] if has_images and "u" not in kind else ()
    if any(name not in found for name in images):
        raise FormatError(f"image flags {' '.join(images)} are not all there: found columns {' '.join(found)}")
    velocities = [name for name in VELOCITIES[: len(axes)] if name in found]
    if len(velocities) < len(axes):
        velocities = []
    roles |= dict.fromkeys(images, "i4") | dict.fromkeys(velocities, "f8")
    fields = []
    for name in found:
        if name == species:
            fields.append(("species", f"U{text.SPECIES_WIDTH}"))  # types may have labels
        elif name == "id":
            fields.append(("id", "i8"))
        elif name == energy:
            fields.append(("energy", "f8"))
        else:
            fields.append((name, roles[name]) if name in roles else ("", "S1"))
    table = lines.table(header.n_particles, fields)
    position = np.stack([table[name] for name in axes], axis=1)
    n_space = len(axes)
    box = header.box[:n_space, :n_space]
    position = position @ box if "s" in kind else position - header.origin[:n_space]
    image = None
    if images:
        image = np.stack([table[name] for name in images], axis=1)
    elif "u" in kind:
        image = np.zeros(position.shape, dtype=np.int32)
    return Frame(
        position,
        table["names"],
        table["species"],
        box,
        header.periodic[:n_space],
        header.origin[:n_space],
        image,
        velocity=np.stack([table[name] for name in velocities], axis=1) if velocities else None,
        energy=table.get("energy"),
        time=header.time,
        step=header.step,
        id=table.get("id"),
    )


def _integer(line: str, what: str) -> int:
    try:
        return int(line)
    except ValueError:
        raise FormatError(f"{what} is '{line[:60]}', expected an integer: the file is damaged") from None


def _numbers(line: str, count: int, what: str) -> list[float]:
    try:
        values = [float(word) for word in line.split()]
    except ValueError:
        values = []
    if len(values) != count:
        raise FormatError(f"{what} has the line '{line[:60]}', expected {count} numbers: the file is damaged")
    return values
