"""Dumps of LAMMPS as yaml (``dump yaml``): a document for each frame. Columns mean what they do in text dumps."""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey
from glassdask.io.lammps import Header
from glassdask.io.lammps_arrays import frame_of_arrays

ROW = re.compile(r"-\s*\[(.*)\]\s*$")


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = (), growing: bool = False) -> Survey:
    """Find the frames of a dump."""
    return text.survey(path, read_header, growing)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """Frames of a dump."""

    def body(lines: text.Lines, header: Header) -> Frame:
        rows = [_words(lines.required(), "data") for _ in range(header.n_particles)]
        width = len(header.columns)
        wrong = next((k for k, row in enumerate(rows) if len(row) != width), None)
        if wrong is not None:
            raise FormatError(
                f"row {wrong} of data has {len(rows[wrong])} values, expected {width}: the file is damaged"
            )
        return frame_of_arrays(dict(zip(header.columns, np.array(rows).T)), header, columns, keep)

    return text.read(path, start, stop, offset, read_header, body)


def read_header(lines: text.Lines) -> Header | None:
    """What is before the rows of a frame, or None at the end of the file."""
    line = lines.line()
    while line in ("", "---", "..."):
        line = lines.line()
    if line is None:
        return None
    header, bounds = Header(), []
    while line != "data:":
        key, _, value = line.partition(":")
        if key == "timestep":
            header.step = text.whole(_numbers(value, 1, key)[0], key)
        elif key == "time":
            header.time = _numbers(value, 1, key)[0]
        elif key == "natoms":
            header.n_particles = text.whole(_numbers(value, 1, key)[0], key)
        elif key == "boundary":
            flags = _words(f"- {value.strip()}", key)
            header.periodic = tuple(flag == "p" for flag in flags[::2])
        elif key == "keywords":
            header.columns = _words(f"- {value.strip()}", key)
        elif key == "box":
            while (lines.peek() or "").startswith("-"):
                bounds.append(_words(lines.required(), key))
        line = lines.required()
    if header.n_particles < 1 or not header.columns or len(bounds) not in (3, 4):
        raise FormatError(
            f"{header.n_particles} atoms, {len(header.columns)} keywords, {len(bounds)} rows of the box before data: "
            "this is no yaml dump of LAMMPS, or it is damaged"
        )
    rows = [_numbers(" ".join(row), len(row), "box") for row in bounds]
    low, high = np.array([row[0] for row in rows[:3]]), np.array([row[1] for row in rows[:3]])
    xy, xz, yz = rows[3] if len(rows) == 4 else (0.0, 0.0, 0.0)
    # the bounds are those of the box that encloses the cell, as in text
    low -= (min(0.0, xy, xz, xy + xz), min(0.0, yz), 0.0)
    high -= (max(0.0, xy, xz, xy + xz), max(0.0, yz), 0.0)
    header.box = np.diag(high - low)
    header.box[[1, 2, 2], [0, 0, 1]] = xy, xz, yz
    header.origin = low
    return header


def _words(line: str, what: str) -> list[str]:
    found = ROW.match(line)
    if found is None:
        raise FormatError(f"{what} has '{line[:60]}', expected a list in brackets: the file is damaged")
    return [word.strip().strip("'\"") for word in found[1].split(",") if word.strip()]


def _numbers(value: str, count: int, what: str) -> list[Any]:
    try:
        found = [float(word) for word in value.split()]
    except ValueError:
        found = []
    if len(found) != count:
        raise FormatError(f"{what} is '{value.strip()[:60]}', expected {count} numbers: the file is damaged")
    return found
