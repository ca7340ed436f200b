"""LAMMPS data files, of one frame, with labels of types."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.errors import ParameterError
from glassdask.io.writers.lammps import restricted, tilts, upper
from glassdask.io.writers.sheet import Sheet
from glassdask.io.writers.text import check_words, number, rows


def remarks(sheet: Sheet) -> Iterator[str]:
    """What a reader of the file must know."""
    if not sheet.has("id"):
        yield "ids are the numbers of the particles, from 1 on"
    yield "masses are not known: give them in LAMMPS's input"


def write(sheet: Sheet, stream: Any) -> None:
    """Write the one frame."""
    names = sheet.names_and_codes[0]
    check_words(names, sheet.where)
    if sheet.n_frames != 1:
        raise ParameterError(
            f"{sheet.where}: a LAMMPS data file has one frame, {sheet.n_frames} are to be written: choose one, such as "
            "frames=-1 (--frames -1)"
        )
    for number_of_block, block in enumerate(sheet.blocks()):
        if number_of_block == 0:
            stream.write(_header(sheet, names, int(block.totals[0])).encode())
        values = block.values
        table = [values["id"], values["code"] + 1, *_vector(values["position"])]
        table += _vector(values["image"]) if "image" in values else []
        for text in rows(table, block.counts):
            stream.write(text)
    if sheet.has("velocity"):
        stream.write(b"\nVelocities\n\n")
        for block in sheet.blocks():
            for text in rows([block.values["id"], *_vector(block.values["velocity"])], block.counts):
                stream.write(text)


def _vector(values: np.ndarray) -> list[np.ndarray]:
    """Three components, of which z is 0 in two dimensions."""
    padding = np.zeros_like(values[:, 0])
    return [values[:, k] if k < values.shape[1] else padding for k in range(3)]


def _header(sheet: Sheet, names: tuple[str, ...], n_rows: int) -> str:
    boxes, origins, _ = sheet.cells()
    box, origin = boxes[0], origins[0]
    step = "" if sheet.steps is None else f", step {int(sheet.steps[0])}"
    lines = [f"LAMMPS data file, written by glassdask{step}", "", f"{n_rows} atoms", f"{len(names)} atom types", ""]
    if restricted(box):
        edges = zip(origin, np.diag(box), "xyz")
        lines += [f"{number(low)} {number(upper(low, length))} {x}lo {x}hi" for low, length, x in edges]
        lines += [f"{' '.join(map(number, tilts(box)))} xy xz yz"] if any(tilts(box)) else []
    else:
        lines += [f"{' '.join(map(number, vector))} {name}vec" for vector, name in zip(box, "abc")]
        lines += [f"{' '.join(map(number, origin))} abc origin"]
    labels = [f"{code} {name}" for code, name in enumerate(names, start=1)]
    return "\n".join([*lines, "", "Atom Type Labels", "", *labels, "", "Atoms # atomic", "", ""])
