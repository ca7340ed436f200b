"""LAMMPS data files (``write_data``), one frame each: cell, types or their labels, positions, images, velocities.

The columns of the section Atoms depend on the atom style, which LAMMPS writes behind its name (``Atoms # full``); where
it is not there and the columns fit several styles, ``style="full"`` tells. The lower corner of the box is subtracted
from the positions, and kept as ``origin``. ``keep=["q", "mol"]`` keeps further columns; a diameter is read. A data file
does not say along which axes it is periodic.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey, encode
from glassdask.io.tables import further

# Columns of Atoms (LAMMPS manual, read_data); image flags may follow.
STYLES = {
    "atomic": "id type x y z",
    "molecular": "id mol type x y z",
    "charge": "id type q x y z",
    "full": "id mol type q x y z",
    "sphere": "id type diameter density x y z",
    "bond": "id mol type x y z",
    "angle": "id mol type x y z",
    "bpm/sphere": "id mol type diameter density x y z",
    "dipole": "id type q x y z mux muy muz",
    "dpd": "id type theta x y z",
    "electron": "id type q espin eradius x y z",
    "ellipsoid": "id type ellipsoidflag density x y z",
    "line": "id mol type lineflag density x y z",
    "peri": "id type volume density x y z",
    "spin": "id type x y z spx spy spz sp",
    "template": "id type template-index template-atom x y z",
    "tri": "id mol type triangleflag density x y z",
}
READ = ("id", "type", "x", "y", "z", "ix", "iy", "iz")
WHOLE = ("mol", "ellipsoidflag", "lineflag", "triangleflag", "template-index", "template-atom")
COMMON = ("atomic", "molecular", "charge", "full", "sphere")  # which are looked for where no style is named
COUNTS = re.compile(r"(\d+)\s+(atoms|atom types)\b")
BOUNDS = re.compile(r"(\S+)\s+(\S+)\s+([xyz])lo\s+[xyz]hi\b")
VECTORS = re.compile(r"(\S+)\s+(\S+)\s+(\S+)\s+(xy\s+xz\s+yz|avec|bvec|cvec|abc\s+origin)\b")


def survey(
    path: str,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    style: str | None = None,
    growing: bool = False,
) -> Survey:
    """One frame; its content is read by `read`."""
    return text.survey_one(path)


def read(
    path: str,
    start: int,
    stop: int,
    offset: int = 0,
    columns: dict[str, str] | None = None,
    keep: Sequence[str] = (),
    style: str | None = None,
) -> Generator[Frame, None, None]:
    """The frame of a data file."""
    with text.Lines(path) as lines:
        try:
            yield _frame(lines, style, keep)
        except EOFError:
            raise FormatError(f"{path}: truncated (the file ends within a section): copy it again") from None
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None


def _frame(lines: text.Lines, style: str | None, keep: Sequence[str]) -> Frame:
    lines.line()  # LAMMPS skips the first line, whatever it says
    counts: dict[str, int] = {}
    bounds: dict[str, tuple[float, float]] = {}
    vectors: dict[str, list[float]] = {}
    labels: dict[str, str] = {}
    atoms: np.ndarray | None = None
    velocities: np.ndarray | None = None
    while (line := lines.line()) is not None:
        content, _, comment = (part.strip() for part in line.partition("#"))
        if found := COUNTS.match(content):
            counts[found[2]] = int(found[1])
        elif found := BOUNDS.match(content):
            bounds[found[3]] = (_number(found[1]), _number(found[2]))
        elif found := VECTORS.match(content):
            vectors[" ".join(found[4].split())] = [_number(found[k]) for k in (1, 2, 3)]
        elif content == "Atom Type Labels":
            labels = {row[0]: row[1] for row in _rows(lines, counts.get("atom types", 0), content).tolist()}
        elif content == "Atoms":
            style, atoms = style or comment or None, _rows(lines, counts.get("atoms", 0), content)
        elif content == "Velocities":
            velocities = _rows(lines, counts.get("atoms", 0), content)
    if atoms is None or not len(atoms):
        raise FormatError(
            f"{counts.get('atoms', 'no')} atoms, and {'no' if atoms is None else 'an empty'} section Atoms"
        )
    table = _table(atoms, style, counts.get("atom types", 0), labels)
    box, origin = _cell(bounds, vectors)
    ids = _values(table["id"], "id", np.int64)
    names: list[str | int] = []
    codes = encode(np.array([labels.get(kind, kind) for kind in table["type"].tolist()]), names)
    position = np.stack([_values(table[axis], axis, np.float64) for axis in "xyz"], axis=1)

    def number(name: str) -> np.ndarray:
        return _values(table[name], name, np.int64 if name in WHOLE else np.float64)

    image = None
    if "ix" in table:
        image = np.stack([_values(table[axis], axis, np.int64) for axis in ("ix", "iy", "iz")], axis=1)
    velocity = None
    if velocities is not None:
        order = np.argsort(ids, kind="stable")
        place = np.searchsorted(ids[order], _values(velocities[:, 0], "id", np.int64)).clip(max=len(ids) - 1)
        velocity = np.full((len(ids), 3), np.nan)
        velocity[order[place]] = _values(velocities[:, 1:4], "velocity", np.float64)
        if np.isnan(velocity).any():
            raise FormatError("Velocities are not those of the ids of Atoms: the file is damaged")
    return Frame(
        position - origin,
        tuple(str(name) for name in names),
        codes,
        box,
        origin=origin,
        image=image,
        velocity=velocity,
        id=ids,
        told=False,
        **further([name for name in table if name not in READ], keep, number),
    )


def _rows(lines: text.Lines, count: int, section: str) -> np.ndarray:
    """The words (row, column) of a section, without blank lines and comments."""
    rows: list[list[str]] = []
    while len(rows) < count:
        words = lines.required().partition("#")[0].split()
        if words and rows and len(words) != len(rows[0]):
            raise FormatError(
                f"{section}, row {len(rows)}: {len(words)} columns, {len(rows[0])} in row 0: either there are fewer "
                f"than {count} rows, or the file is damaged"
            )
        rows += [words] if words else []
    return np.array(rows)


def _table(atoms: np.ndarray, style: str | None, n_types: int, labels: dict[str, str]) -> dict[str, np.ndarray]:
    """The words of each column by its name."""
    n_columns = atoms.shape[1]
    fitting = [name for name, columns in STYLES.items() if n_columns - len(columns.split()) in (0, 3)]
    if style is None:
        kinds = {str(k + 1) for k in range(n_types)} | set(labels.values())
        fitting = [
            name
            for name in fitting
            if name in COMMON
            and set(np.unique(atoms[:, STYLES[name].split().index("type")]).tolist()) <= kinds
            and (name != "molecular" or all(word.lstrip("-").isdigit() for word in atoms[:, 1].tolist()))
        ]
        if len(fitting) != 1:
            raise FormatError(
                f"Atoms has {n_columns} columns and names no atom style, it may be {' or '.join(fitting) or 'any'}: "
                f"give `style='{(fitting or ['full'])[0]}'`"
            )
        style = fitting[0]
    if style not in fitting:
        known = STYLES.get(style)
        raise FormatError(
            f"Atoms has {n_columns} columns, which is not atom style '{style}'"
            f"{f' ({known})' if known else f', known are {chr(44).join(STYLES)}'}: give the right one, such as "
            "`style='full'`"
        )
    names = STYLES[style].split()
    names += ["ix", "iy", "iz"] if n_columns > len(names) else []
    return dict(zip(names, atoms.T))


def _cell(bounds: dict[str, tuple[float, float]], vectors: dict[str, list[float]]) -> tuple[np.ndarray, np.ndarray]:
    """Cell vectors as rows, and the lower corner."""
    if all(name in vectors for name in ("avec", "bvec", "cvec")):
        return np.array([vectors[name] for name in ("avec", "bvec", "cvec")]), np.array(
            vectors.get("abc origin", [0.0, 0.0, 0.0])
        )
    if len(bounds) < 3:
        raise FormatError(
            f"bounds of the box along {' '.join(bounds) or 'no axis'}: expected xlo xhi, ylo yhi and zlo zhi"
        )
    low, high = np.array([bounds[axis] for axis in "xyz"]).T
    box = np.diag(high - low)
    box[[1, 2, 2], [0, 0, 1]] = vectors.get("xy xz yz", [0.0, 0.0, 0.0])
    return box, low


def _number(word: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise FormatError(f"the box has '{word[:40]}', expected a number: the file is damaged") from None


def _values(words: np.ndarray, what: str, dtype: Any) -> np.ndarray:
    try:
        return words.astype(dtype)
    except ValueError as error:
        raise FormatError(f"column {what}: {error}: the file is damaged, or its atom style is another one") from None
