"""XYZ text: plain, gzip or zstd; extended, or with the cell in the comment as atooms and partycls write it.

Extended: ``Lattice="ax ay az bx ..." Properties=species:S:1:pos:R:3:velo:R:3 Time=0.1 Step=20``, optional ``Origin``
(subtracted, and kept) and ``pbc``. Plain: ``columns:id,pos step:0 cell:5.0,5.0,5.0``, where ``id`` is the species; two
edge lengths make a two-dimensional trajectory; without ``columns`` the lines begin with species, x, y(, z). A file
without a cell needs ``box=``.
"""

from __future__ import annotations

import re
from collections.abc import Generator
from dataclasses import dataclass

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey, named_column

# key=value or key:value, the value quoted or without blanks
PAIR = re.compile(r"""([A-Za-z_][\w-]*)\s*[=:]\s*("[^"]*"|'[^']*'|\S+)""")
POSITION = ("pos", "position", "positions")
SPECIES = ("species", "element", "name", "type")
VELOCITY = ("velo", "vel", "velocity", "velocities")
ENERGY = ("pe", "local_energy", "energies", "energy", "c_pe")
IMAGE = ("image", "images", "map_shift")
VECTORS = {*POSITION, *VELOCITY, *IMAGE, "force", "forces"}
KINDS = {"R": "f8", "I": "i8", "S": f"U{text.SPECIES_WIDTH}", "L": "S1"}


@dataclass
class Header:
    """The count and the comment line of a frame: `columns` are (name, kind, width), None if the comment is silent."""

    n_particles: int
    columns: list[tuple[str, str, int]] | None = None
    box: np.ndarray | None = None
    origin: np.ndarray | None = None
    periodic: tuple[bool, ...] = (True, True, True)
    time: float | None = None
    step: int | None = None


def survey(path: str, columns: dict[str, str] | None = None, growing: bool = False) -> Survey:
    """Find the frames of an XYZ file."""
    return text.survey(path, read_header, growing)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None
) -> Generator[Frame, None, None]:
    """Frames of an XYZ file; `columns` may name the property of a variable, such as {"energy": "site_energy"}."""
    return text.read(path, start, stop, offset, read_header, lambda lines, head: _body(lines, head, columns or {}))


def read_header(lines: text.Lines) -> Header | None:
    """The two lines before the atom lines, or None at the end of the file."""
    line = lines.line()
    while line == "":  # empty lines at the end of a file
        line = lines.line()
    if line is None:
        return None
    if not line.isdigit() or int(line) < 1:
        raise FormatError(
            f"expected a number of particles, found '{line[:60]}': either the frame before has another number of lines "
            "than it says, or this is no XYZ file (name another format=)"
        )
    header = Header(int(line))
    comment = lines.required()
    pairs = {key.lower(): value.strip("\"'") for key, value in PAIR.findall(comment)}
    if "lattice" in pairs:
        header.box = _floats(pairs["lattice"], "Lattice", (9,)).reshape(3, 3)
    elif "cell" in pairs:
        header.box = np.diag(_floats(pairs["cell"], "cell", (2, 3)))
    if "origin" in pairs:
        header.origin = _floats(pairs["origin"], "Origin", (3,))
    if "pbc" in pairs:
        header.periodic = tuple(word.upper() in ("T", "1", "TRUE") for word in pairs["pbc"].split())
    if "time" in pairs:
        header.time = float(_floats(pairs["time"], "time", (1,))[0])
    for key in ("step", "timestep"):
        if key in pairs:
            header.step = int(_floats(pairs[key], key, (1,))[0])
    if header.time is None and header.step is not None and "dt" in pairs:
        header.time = header.step * float(_floats(pairs["dt"], "dt", (1,))[0])
    n_space = 3 if header.box is None else len(header.box)
    if "properties" in pairs:
        header.columns = _properties(pairs["properties"])
    elif "columns" in pairs:
        header.columns = _plain_columns(pairs["columns"].split(","), n_space)
    return header


def _properties(value: str) -> list[tuple[str, str, int]]:
    words = value.split(":")
    try:
        columns = [(words[k], words[k + 1], int(words[k + 2])) for k in range(0, len(words), 3)]
    except (IndexError, ValueError):
        columns = []
    if not columns or any(kind not in KINDS for _, kind, _ in columns):
        raise FormatError(f"Properties={value[:80]} is not name:kind:width:... with kinds {' '.join(KINDS)}: repair it")
    return columns


def _plain_columns(names: list[str], n_space: int) -> list[tuple[str, str, int]]:
    """Columns as atooms and partycls name them: x,y,z (and vx,vy,vz) are joined to the vectors that they are."""
    columns: list[tuple[str, str, int]] = []
    k = 0
    while k < len(names):
        name = names[k]
        for first, axes, vector in (("x", "xyz", "pos"), ("vx", ("vx", "vy", "vz"), "vel")):
            if name == first and names[k : k + n_space] == list(axes[:n_space]):
                columns.append((vector, "R", n_space))
                k += n_space
                break
        else:
            # there, `id` is the chemical species
            species = name in ("id", *SPECIES)
            columns.append(("species" if name == "id" else name, "S" if species else "R", _width(name, n_space)))
            k += 1
    return columns


def _width(name: str, n_space: int) -> int:
    return n_space if name in VECTORS else 1


def _body(lines: text.Lines, header: Header, columns: dict[str, str]) -> Frame:
    declared = header.columns
    n_space = 3 if header.box is None else len(header.box)
    usecols = None
    if declared is None:
        declared, usecols = [("species", "S", 1), ("pos", "R", n_space)], range(1 + n_space)
    widths = {name: width for name, _, width in declared}
    found = list(widths)
    roles = {
        "position": named_column(columns, "position", POSITION, found),
        "species": named_column(columns, "species", SPECIES, found),
        "velocity": named_column(columns, "velocity", VELOCITY, found),
        "energy": named_column(columns, "energy", ENERGY, found),
        "image": named_column(columns, "image", IMAGE, found),
        "id": named_column(columns, "id", ("id",), found),
    }
    if roles["position"] is None or roles["species"] is None:
        raise FormatError(
            f"found columns {' '.join(found)}; expected a position ({', '.join(POSITION)}) and a species "
            f"({', '.join(SPECIES)}): name them with columns={{'position': ..., 'species': ...}}"
        )
    n_space = widths[roles["position"]]
    fields: list[tuple[str, str]] = []
    for name, _, width in declared:
        role = next((role for role, column in roles.items() if column == name), None)
        if role in ("position", "velocity", "image") and width != n_space:
            raise FormatError(f"{role} '{name}' has {width} columns and the position {n_space}: they must agree")
        dtype = {"species": KINDS["S"], "image": "i4", "id": "i8"}.get(role or "", "f8")
        if role is None:
            fields += [("", "S1")] * width
        else:
            fields += [(role if width == 1 else f"{role}{k}", dtype) for k in range(width)]
    table = lines.table(header.n_particles, fields, usecols)

    def vector(role: str) -> np.ndarray | None:
        return np.stack([table[f"{role}{k}"] for k in range(n_space)], axis=1) if roles[role] else None

    position = vector("position")
    assert position is not None
    if header.origin is not None:
        position -= header.origin[:n_space]
    return Frame(
        position,
        table["names"],
        table["species"],
        header.box,
        header.periodic,
        None if header.origin is None else header.origin[:n_space],
        vector("image"),
        velocity=vector("velocity"),
        energy=table.get("energy"),
        time=header.time,
        step=header.step,
        id=table.get("id"),
        told=False,
    )


def _floats(value: str, what: str, counts: tuple[int, ...]) -> np.ndarray:
    try:
        values = [float(word) for word in value.replace(",", " ").split()]
    except ValueError:
        values = []
    if len(values) not in counts:
        expected = " or ".join(map(str, counts))
        raise FormatError(f"{what} is '{value[:80]}', expected {expected} numbers: repair the comment line")
    return np.array(values)
