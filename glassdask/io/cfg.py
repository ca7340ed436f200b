"""AtomEye's CFG, extended and standard, of LAMMPS (``dump cfg``) and others: one frame a file.

Positions are scaled with the cell, whose rows are the vectors. Auxiliary columns mean what they do in LAMMPS dumps (id,
ix iy iz, vx vy vz, c_pe); further ones are kept with ``keep=``. Velocities of AtomEye, in units of the cell, are not
read. A CFG file tells neither the step nor where the box begins.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Sequence

import numpy as np

from glassdask.errors import FormatError
from glassdask.io import text
from glassdask.io.frame import Frame, Survey
from glassdask.io.lammps import Header
from glassdask.io.lammps_arrays import frame_of_arrays

PAIR = re.compile(r"([^=]+?)\s*=\s*(\S+)")
CELL = re.compile(r"H0\((\d),(\d)\)")


def survey(path: str, columns: dict[str, str] | None = None, keep: Sequence[str] = (), growing: bool = False) -> Survey:
    """One frame; its content is read by `read`."""
    return text.survey_one(path)


def read(
    path: str, start: int, stop: int, offset: int = 0, columns: dict[str, str] | None = None, keep: Sequence[str] = ()
) -> Generator[Frame, None, None]:
    """The frame of a file."""
    with text.Lines(path) as lines:
        try:
            header, table = _parsed(lines)
            yield frame_of_arrays(table, header, columns, keep)
        except EOFError:
            raise FormatError(f"{path}: truncated (there are fewer lines than particles): copy it again") from None
        except FormatError as error:
            raise FormatError(f"{path}: {error}") from None


def _parsed(lines: text.Lines) -> tuple[Header, dict[str, np.ndarray]]:
    header, scale, cell = Header(), 1.0, np.zeros((3, 3))
    names: list[str] = ["xs", "ys", "zs"]
    extended, velocities, auxiliary = False, True, []
    line = lines.required()
    while True:
        content = line.partition("#")[0].strip()
        found = PAIR.match(content)
        if content == ".NO_VELOCITY.":
            velocities = False
        elif found is None and content:
            break  # the first line of the particles
        elif found is not None:
            key, value = found.groups()
            if key == "Number of particles":
                header.n_particles = int(_number(value, key))
            elif key == "A":
                scale = _number(value, key)
            elif place := CELL.match(key):
                cell[int(place[1]) - 1, int(place[2]) - 1] = _number(value, key)
            elif key == "entry_count":
                extended = True
            elif key.startswith("auxiliary["):
                auxiliary.append(value)
        line = lines.required()
    names += [f"scaled velocity {axis}" for axis in "xyz"] if velocities else []
    names = [*names, *auxiliary] if extended else ["mass", "element", *names]
    rows: list[list[str]] = []
    kind: list[str] = []
    while True:
        words = line.split()
        if extended and len(words) == 1:  # a mass and then an element, before the particles that have them
            kind = [words[0], lines.required()]
        elif words:
            rows.append([*kind, *words])
            if len(words) != len(names):
                raise FormatError(
                    f"particle {len(rows) - 1} has {len(words)} values, expected {len(names)} ({' '.join(names)}): the "
                    "file is damaged"
                )
        if len(rows) >= header.n_particles:
            break
        line = lines.required()
    header.box, header.origin = scale * cell, np.zeros(3)
    names = ["mass", "element", *names] if extended else names
    if not rows or len(rows[0]) != len(names):
        raise FormatError(f"{len(rows)} particles without mass and element: the file is damaged")
    return header, dict(zip(names, np.array(rows).T))


def _number(word: str, what: str) -> float:
    try:
        return float(word)
    except ValueError:
        raise FormatError(f"{what} is '{word[:40]}', expected a number: the file is damaged") from None
