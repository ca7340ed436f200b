"""LAMMPS dump text, as ``dump custom`` writes it: positions from zero, image flags, types and their names.

A cell whose first vector lies along x and whose second lies in the plane of x and y is written as bounds and tilts, any
other as ``abc origin``, which LAMMPS writes since 2024. In two dimensions z is 0, in bounds from -0.5 to 0.5.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.io.writers.sheet import Block, Sheet
from glassdask.io.writers.text import ELEMENTS, Names, check_words, number, rows

TAKEN = frozenset(["id", "type", "element", "x", "y", "z", "ix", "iy", "iz", "vx", "vy", "vz", "energy"])


def write(sheet: Sheet, stream: Any) -> None:
    """Write all frames."""
    names = sheet.names_and_codes[0]
    check_words(names, sheet.where)
    box, origin, periodic = sheet.cells()
    times = None if time_of_step(sheet) else sheet.times
    for block in sheet.blocks():
        titles, table = _table(sheet, block, names)
        for k, text in enumerate(rows(table, block.counts)):
            frame = block.frames[k]
            if block.begins:
                step = frame if sheet.steps is None else int(sheet.steps[frame])
                time = "" if times is None else f"ITEM: TIME\n{number(times[frame])}\n"
                head = f"{time}ITEM: TIMESTEP\n{step}\nITEM: NUMBER OF ATOMS\n{int(block.totals[k])}\n"
                bounds_of = bounds(box[frame], origin[frame], periodic)
                stream.write(f"{head}{bounds_of}ITEM: ATOMS {' '.join(titles)}\n".encode())
            stream.write(text)


def _table(sheet: Sheet, block: Block, names: tuple[str, ...]) -> tuple[list[str], list[Any]]:
    """Names of the columns, and the columns."""
    values = block.values
    table: dict[str, Any] = {
        "id": values["id"],
        "type": values["code"] + 1,
        "element": Names(values["code"], names),
    }
    for prefix, name in (("", "position"), ("i", "image"), ("v", "velocity")):
        if name in values:
            table |= {f"{prefix}{axis}": values[name][:, k] for k, axis in enumerate("xyz"[: sheet.n_space])}
            if sheet.n_space == 2:
                table[f"{prefix}z"] = np.zeros_like(values[name][:, 0])
    if "energy" in values:
        table["energy"] = values["energy"]
    for name in sheet.columns:
        column = values[f"column {name}"]
        table[name] = column.astype(np.int8) if column.dtype.kind == "b" else column
    return list(table), list(table.values())


def time_of_step(sheet: Sheet) -> float | None:
    """The time of one step, where step times it is the very time of each frame; then the file needs no ``ITEM: TIME``.

    Readers of MDAnalysis and chemfiles know no such item.
    """
    if sheet.steps is None or sheet.times is None or not sheet.steps.any():
        return None
    last = np.argmax(np.abs(sheet.steps))
    exact = float(sheet.times[last] / sheet.steps[last])
    candidates = [float(f"{exact:.{digits}g}") for digits in (6, 12, 15)] + [exact]
    return next((dt for dt in candidates if dt > 0 and np.array_equal(sheet.steps * dt, sheet.times)), None)


def remarks(sheet: Sheet) -> Iterator[str]:
    """What a reader of the file must know."""
    if not sheet.has("id"):
        yield "ids are the numbers of the particles, from 1 on"
    if sheet.steps is None:
        yield "steps are the numbers of the frames"
    if dt := time_of_step(sheet):
        yield f"times are the steps times {dt!r}, and not in the file: `dt={dt!r}` brings them back"
    elif sheet.times is not None:
        yield "times are in ITEM: TIME, which MDAnalysis and chemfiles do not read: drop_vars('time') leaves them out"
    if not set(sheet.names_and_codes[0]) <= ELEMENTS:
        yield "ASE takes the names of species in a dump for chemical elements: for ASE write .extxyz"


def bounds(box: np.ndarray, origin: np.ndarray, periodic: tuple[bool, ...]) -> str:
    """The lines of ``ITEM: BOX BOUNDS`` of a cell (3, 3).

    >>> print(bounds(np.diag([2.0, 3.0, 4.0]), np.zeros(3), (True, True, False)), end="")
    ITEM: BOX BOUNDS pp pp ff
    0.0 2.0
    0.0 3.0
    0.0 4.0
    """
    flags = " ".join("pp" if value else "ff" for value in periodic)
    if not restricted(box):
        lines = [" ".join(map(number, (*vector, corner))) for vector, corner in zip(box, origin)]
        return "\n".join([f"ITEM: BOX BOUNDS abc origin {flags}", *lines, ""])
    xy, xz, yz = tilts(box)
    # the bounds are those of the box that encloses the cell (LAMMPS manual, Howto_triclinic)
    below = np.array([min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0])
    above = np.array([max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0])
    low = origin + below
    tilted = any(tilts(box))
    lines = [
        " ".join(
            map(number, (low[k], upper(low[k], box[k, k], below[k], above[k]), *tilts(box)[k : k + 1 if tilted else k]))
        )
        for k in range(3)
    ]
    return "\n".join([f"ITEM: BOX BOUNDS {'xy xz yz ' if tilted else ''}{flags}", *lines, ""])


def restricted(box: np.ndarray) -> bool:
    """Whether the first vector of a cell (3, 3) lies along x, and the second in the plane of x and y."""
    return not (box[0, 1:].any() or box[1, 2])


def tilts(box: np.ndarray) -> tuple[float, float, float]:
    """xy, xz and yz of a restricted cell."""
    return float(box[1, 0]), float(box[2, 0]), float(box[2, 1])


def upper(low: float, length: float, below: float = 0.0, above: float = 0.0) -> float:
    """The upper bound from which the very same length is found again, where rounding allows one."""
    corner = low - below
    nearest = (corner + length) + above
    near = (nearest, np.nextafter(nearest, np.inf), np.nextafter(nearest, -np.inf))
    return float(next((bound for bound in near if (bound - above) - corner == length), nearest))
