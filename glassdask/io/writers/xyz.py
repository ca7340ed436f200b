"""Extended XYZ: the cell, its corner, the periodicity, step and time in the comment of every frame.

Names that are elements are written as ``species``, others (``A``, ``B``) as ``type``: ASE takes ``species`` for
elements and nothing else. In two dimensions z is 0 and the third cell vector is 1 long.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from glassdask.io.writers.sheet import Block, Sheet
from glassdask.io.writers.text import ELEMENTS, Names, check_words, number, rows

LETTERS = {"i": "I", "u": "I", "f": "R", "b": "L"}
TAKEN = frozenset({"pos", "species", "type", "id", "image", "velo", "energies"})


def write(sheet: Sheet, stream: Any) -> None:
    """Write all frames."""
    names = sheet.names_and_codes[0]
    check_words(names, sheet.where)
    box, origin, periodic = sheet.cells()
    flags = " ".join("T" if value else "F" for value in (periodic if sheet.n_space == 3 else (*periodic[:2], False)))
    for block in sheet.blocks():
        properties, table = _table(sheet, block, names)
        for k, text in enumerate(rows(table, block.counts)):
            frame = block.frames[k]
            if block.begins:
                words = [f'Lattice="{_numbers(box[frame])}"', f"Properties={properties}", f'pbc="{flags}"']
                if origin[frame].any():
                    words.insert(1, f'Origin="{_numbers(origin[frame])}"')
                words += [] if sheet.times is None else [f"Time={number(sheet.times[frame])}"]
                words += [] if sheet.steps is None else [f"Step={int(sheet.steps[frame])}"]
                stream.write(f"{int(block.totals[k])}\n{' '.join(words)}\n".encode())
            stream.write(text)


def _table(sheet: Sheet, block: Block, names: tuple[str, ...]) -> tuple[str, list[Any]]:
    """The text of ``Properties`` and the columns."""
    values = block.values
    named = "species" if set(names) <= ELEMENTS else "type"
    table: list[Any] = [Names(values["code"], names)]
    properties = [f"{named}:S:1"]
    vectors = {"position": "pos", "image": "image", "velocity": "velo"}
    for name, label in vectors.items():
        if name in values:
            properties.append(f"{label}:{LETTERS[values[name].dtype.kind]}:3")
            padded = [values[name][:, k] for k in range(sheet.n_space)]
            table += [*padded, *[np.zeros_like(padded[0])] * (3 - sheet.n_space)]
    scalars = {"id": values["id"]} if sheet.has("id") or sheet.has("present") else {}
    if "energy" in values:
        scalars["energies"] = values["energy"]
    scalars |= {name: values[f"column {name}"] for name in sheet.columns}
    for label, column in scalars.items():
        properties.append(f"{label}:{LETTERS[column.dtype.kind]}:1")
        table.append(Names(column.astype(np.int8), "FT") if column.dtype.kind == "b" else column)
    return ":".join(properties), table


def _numbers(values: np.ndarray) -> str:
    return " ".join(map(number, values.ravel()))
