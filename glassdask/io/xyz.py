"""XYZ text, plain or compressed; extended, or with the cell in the comment as atooms, partycls and RUMD write it.

Extended: ``Lattice="ax ay az bx ..." Properties=species:S:1:pos:R:3:velo:R:3 Time=0.1 Step=20``, optional ``Origin``
(subtracted, and kept) and ``pbc``; arrays may also be written in brackets. Plain: ``columns:id,pos step:0
cell:5.0,5.0,5.0``, where ``id`` is the species; two edge lengths make a two-dimensional trajectory; without ``columns``
the lines begin with species, x, y(, z). RUMD: ``ioformat=2 timeStepIndex=0 integrator=IntegratorNVT,0.005
sim_box=RectangularSimulationBox,9.4,9.4,9.4 columns=type,x,y,z,imx,imy,imz``. A file without a cell needs ``box=``.

Species are ``species``, ``element`` or ``name``, unless ``type`` tells more particles apart; or the atomic numbers
``Z``. ``radius`` or ``diameter`` are the sizes. ``keep=["mass"]`` keeps further columns, ``keep=["all"]`` all that hold
numbers; those of plain files are floats, and columns that no comment names cannot be kept.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey, named_column, right_handed
from glassdask.io.tables import column_of, kept_columns, of_diameters, telling_species

# key=value or key:value, the value in quotes, brackets or braces, or without blanks
PAIR = re.compile(r"""([A-Za-z_][\w-]*)\s*[=:]\s*("[^"]*"|'[^']*'|\[[^=]*\](?=\s|$)|\{[^}]*\}|\S+)""")
POSITION = ("pos", "position", "positions")
LABELS = ("species", "element", "name")
NUMBERS = ("Z", "numbers", "atomic_number", "atomic_numbers")
SPECIES = (*LABELS, "type", *NUMBERS)
VELOCITY = ("velo", "vel", "velocity", "velocities")
ENERGY = ("pe", "local_energy", "energies", "energy", "c_pe")
IMAGE = ("image", "images", "map_shift")
SIZES = ("diameter", "radius", "Radius")
VECTORS = {*POSITION, *VELOCITY, *IMAGE, "force", "forces"}
# how programs name the components of vectors one by one
COMPONENTS = {"pos": "x y z", "vel": "vx vy vz", "image": "imx imy imz", "force": "fx fy fz"}
KINDS = {"R": "f", "I": "i", "S": "s", "L": "s"}
TRUTHS = {"T": True, "F": False, "TRUE": True, "FALSE": False}
# words that may be meant as the box, and are not sure to be it
BOXES = ("box", "boxsize", "box_size", "boxlength", "box_length", "l")


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
    notes: tuple[str, ...] = ()

    @property
    def width(self) -> int:
        """Words of an atom line, at least."""
        return 3 if self.columns is None else sum(width for *_, width in self.columns)


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = (), growing: bool = False) -> Survey:
    """Find the frames of an XYZ file."""
    return text.survey(path, read_header, growing)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of an XYZ file; `columns` may name the property of a variable, such as {"energy": "site_energy"}."""
    return text.read(
        path, start, stop, offset, read_header, lambda lines, head: _body(lines, head, columns or {}, keep)
    )


def read_header(lines: text.Lines) -> Header | None:
    """The two lines before the atom lines, or None at the end of the file."""
    line = lines.filled()
    if line is None:
        return None
    if not (line.isascii() and line.isdigit()):
        raise FormatError(
            f"expected a number of particles, found '{line[:60]}': either the frame before has another number of lines "
            "than it says, or this is no XYZ file"
        )
    header = Header(int(line))
    comment = lines.line()
    if comment is None:
        if header.n_particles == 0:
            return header
        raise EOFError
    pairs = {key.lower(): value.strip("\"'") for key, value in PAIR.findall(comment)}
    if "lattice" in pairs:
        values = _floats(pairs["lattice"], "Lattice", (4, 9))
        header.box = values.reshape(3, 3) if len(values) == 9 else values.reshape(2, 2)
    elif "cell" in pairs:
        header.box = np.diag(_floats(pairs["cell"], "cell", (2, 3)))
    elif "sim_box" in pairs:
        name, _, edges = pairs["sim_box"].partition(",")
        if name != "RectangularSimulationBox":
            raise FormatError(f"sim_box is a {name}, only RectangularSimulationBox is read: write it as extended XYZ")
        header.box = np.diag(_floats(edges, "sim_box", (2, 3)))
    elif "boxlengths" in pairs:
        header.box = np.diag(_floats(pairs["boxlengths"], "boxLengths", (2, 3)))
    else:
        header.notes += tuple(_seen(key, pairs[key]) for key in BOXES if key in pairs)
    if "origin" in pairs:
        header.origin = _floats(pairs["origin"], "Origin", (2, 3))
    if "pbc" in pairs:
        words = re.split(r"[\s,\[\]]+", pairs["pbc"].strip("[]{} "))
        header.periodic = tuple(word.upper() in ("T", "1", "TRUE") for word in words)
    for key in ("step", "timestep", "timestepindex"):
        if key in pairs:
            header.step = text.whole(_floats(pairs[key], key, (1,))[0], key)
    _read_time(pairs, header)
    n_space = 3 if header.box is None else len(header.box)
    if "properties" in pairs:
        header.columns = _properties(pairs["properties"])
    elif "columns" in pairs:
        header.columns = _plain_columns(pairs["columns"].strip("[]").split(","), n_space)
    return header


def _seen(key: str, value: str) -> str:
    edges = text.numbers_of(re.split(r"[\s,]+", value.strip("[]{}() ")))
    meant = f": if these are its edges, give `box={edges}`" if len(edges) in (2, 3) else ""
    return f"the word {key}={value[:60]} was seen, and not taken for the box{meant}"


def _read_time(pairs: dict[str, str], header: Header) -> None:
    """The time that the comment tells, or that steps of a known length make."""
    if "time" in pairs:
        number, unit = re.fullmatch(r"([-+.\d]*(?:[eEdD][-+]?\d+)?)(.*)", pairs["time"], re.DOTALL).groups()  # type: ignore[union-attr]
        if number and re.fullmatch(r"\s*[^\W\d_]+", unit):
            header.notes += (f"times are in {unit.strip()}, as the file says",)
        else:
            number = pairs["time"]
        header.time = float(_floats(number, "time", (1,))[0])
        return
    length = pairs.get("dt") or pairs.get("integrator", "").partition(",")[2].partition(",")[0]
    if header.step is not None and length:
        header.time = header.step * float(_floats(length, "dt", (1,))[0])


def _properties(value: str) -> list[tuple[str, str, int]]:
    words = value.split(":")
    try:
        columns = [(words[k], words[k + 1], int(words[k + 2])) for k in range(0, len(words), 3)]
    except (IndexError, ValueError):
        columns = []
    if not columns or any(kind not in KINDS or not 0 < width <= 1000 for _, kind, width in columns):
        raise FormatError(f"Properties={value[:80]} is not name:kind:width:... with kinds {' '.join(KINDS)}: repair it")
    return columns


def _plain_columns(names: list[str], n_space: int) -> list[tuple[str, str, int]]:
    """Columns as atooms, partycls and RUMD name them: x,y,z (and vx,vy,vz) are joined to the vectors that they are."""
    columns: list[tuple[str, str, int]] = []
    k = 0
    while k < len(names):
        for vector, components in COMPONENTS.items():
            axes = components.split()[:n_space]
            if names[k : k + n_space] == axes:
                columns.append((vector, "I" if vector == "image" else "R", n_space))
                k += n_space
                break
        else:
            # there, `id` is the chemical species
            name = "species" if names[k] == "id" else names[k]
            columns.append((name, "S" if name in SPECIES else "R", n_space if name in VECTORS else 1))
            k += 1
    return columns


def _body(lines: text.Lines, header: Header, columns: dict[str, str], keep: Sequence[str]) -> Frame:
    declared, whole = header.columns, header.columns is not None
    if declared is None:
        words = len((lines.peek() or "").split())
        most = 3 if header.box is None else len(header.box)
        declared = [("species", "S", 1), ("pos", "R", 2 if words == 3 else most)]
    kinds, widths = {name: kind for name, kind, _ in declared}, {name: width for name, _, width in declared}
    found = list(widths)
    given = named_column(columns, "species", (), found)
    labels = [given] if given else [name for name in SPECIES if name in found]
    columns_of = {
        "position": named_column(columns, "position", POSITION, found),
        "velocity": named_column(columns, "velocity", VELOCITY, found),
        "energy": named_column(columns, "energy", ENERGY, found),
        "image": named_column(columns, "image", IMAGE, found),
        "id": named_column(columns, "id", ("id",), found),
        "diameter": None if columns.get("diameter") == "" else named_column(columns, "diameter", SIZES, found),
    }
    if columns_of["position"] is None or not labels:
        raise FormatError(
            f"found columns {' '.join(found)}; expected a position ({', '.join(POSITION)}) and a species "
            f"({', '.join(SPECIES)}): name them with `columns={{'position': '{found[-1]}', 'species': '{found[0]}'}}`"
        )
    n_space = widths[columns_of["position"]]
    roles = {column: role for role, column in columns_of.items() if column is not None}
    for name, role in roles.items():
        expected = n_space if role in ("position", "velocity", "image") else 1
        if widths[name] != expected:
            raise FormatError(f"{role} '{name}' has {widths[name]} columns and the position {n_space}: they must agree")
    truths = [name for name, kind in kinds.items() if kind == "L"]
    texts = [name for name, kind in kinds.items() if kind == "S"]
    kept = kept_columns(keep, found, roles, words=[*labels, *texts])
    fields: list[text.Column] = []
    for name, kind, width in declared:
        role = roles.get(name, name)
        holds = {"image": "i", "id": "i", "position": "f", "velocity": "f", "energy": "f", "diameter": "f"}.get(role)
        if name in labels:
            holds = "s"
        elif name not in roles:
            holds = KINDS[kind] if name in kept and (width == 1 or kind in "RI") else ""
        fields += [(name, role, holds or "", k) for k in range(width)]
    table = lines.table(header.n_particles, fields, whole)
    species, line = (given, ()) if given else telling_species(LABELS, labels, table)
    species = species or next(name for name in NUMBERS if name in labels)
    notes = header.notes + line
    position = table["position"]
    if header.origin is not None:
        position = position - header.origin[:n_space]
    sizes, line = (
        (None, ()) if columns_of["diameter"] is None else of_diameters(table["diameter"], columns_of["diameter"])
    )
    frame = Frame(
        np.ascontiguousarray(position),
        tuple(table["words"][species]),
        table[species],
        None if header.box is None else header.box[:n_space, :n_space],
        header.periodic,
        None if header.origin is None else header.origin[:n_space],
        table.get("image"),
        velocity=table.get("velocity"),
        energy=table.get("energy"),
        diameter=sizes,
        time=header.time,
        step=header.step,
        id=table.get("id"),
        told=False,
        kept={name: _truths(table, name) if name in truths else column_of(table, name, roles) for name in kept},
        unread=tuple(name for name in found if name not in {*roles, *kept, species}),
        species_column=species if header.columns is not None else None,
        notes=notes + line,
    )
    return right_handed(frame)


def _truths(table: dict[str, Any], name: str) -> np.ndarray:
    words = [TRUTHS.get(word.upper()) for word in table["words"][name]]
    if None in words:
        raise FormatError(
            f"the column '{name}' holds {' '.join(table['words'][name])[:60]}, expected T and F: repair it"
        )
    values: np.ndarray = np.array(words, dtype=bool)[table[name]]
    return values


def _floats(value: str, what: str, counts: tuple[int, ...]) -> np.ndarray:
    values = text.numbers_of(re.split(r"[\s,\[\](){}]+", value.strip("[](){} ")))
    if len(values) not in counts:
        expected = " or ".join(map(str, counts))
        raise FormatError(f"{what} is '{value[:80]}', expected {expected} numbers: repair the comment line")
    return np.array(values)
