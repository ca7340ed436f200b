"""Tables of particles, one row for each in every frame: CSV and parquet.

The columns are frame, step and time where they are known, id, species, x, y(, z), ix, iy(, iz), vx, vy(, vz), energy,
and those that were asked for. CSV has no place for the box; there positions are counted from its corner.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from glassdask.io.writers.sheet import Block, Sheet
from glassdask.io.writers.text import Names, pyarrow, rows

TAKEN = frozenset(
    ["frame", "step", "time", "id", "species", "x", "y", "z", "ix", "iy", "iz", "vx", "vy", "vz", "energy"]
)


def remarks(sheet: Sheet) -> Iterator[str]:
    """What a reader of the file must know."""
    if not sheet.has("id"):
        yield "ids are the numbers of the particles, from 1 on"


def write_csv(sheet: Sheet, stream: Any) -> None:
    """Write all frames as text, below a line with the names of the columns."""
    for number, (block, table) in enumerate(_tables(sheet, placed=False)):
        if number == 0:
            stream.write((",".join(map(_quoted, table)) + "\n").encode())
        for text in rows(list(table.values()), np.array([block.counts.sum()]), ","):
            stream.write(text)


def write_parquet(sheet: Sheet, stream: Any) -> None:
    """Write all frames, a group of rows for each block, compressed with zstd.

    The metadata have ``glassdask``: JSON with the box, its origin and its periodicity, of each frame.
    """
    arrow = pyarrow("parquet")
    from pyarrow import parquet

    names = sheet.names_and_codes[0]
    writer = None
    try:
        for _, table in _tables(sheet):
            columns = {
                name: arrow.DictionaryArray.from_arrays(column.codes, list(names))
                if isinstance(column, Names)
                else arrow.array(np.ascontiguousarray(column))
                for name, column in table.items()
            }
            made = arrow.table(columns)
            if writer is None:
                writer = parquet.ParquetWriter(stream, made.schema, compression="zstd")
                writer.add_key_value_metadata({"glassdask": json.dumps(_box(sheet))})
            writer.write_table(made)
    finally:
        if writer is not None:
            writer.close()


def _box(sheet: Sheet) -> dict[str, Any]:
    """What is of whole frames; one box for all where it does not change."""
    box, origin = sheet.box, sheet.origin
    same = (box == box[0]).all() and (origin == origin[0]).all()
    some = slice(0, 1) if same else slice(None)
    return {"box": box[some].tolist(), "origin": origin[some].tolist(), "periodic": list(sheet.periodic)}


def _tables(sheet: Sheet, placed: bool = True) -> Iterator[tuple[Block, dict[str, Any]]]:
    names = sheet.names_and_codes[0]
    for block in sheet.blocks(placed=placed):
        values = block.values
        frames = np.repeat(np.arange(block.frames.start, block.frames.stop), block.counts)
        table: dict[str, Any] = {"frame": frames}
        table |= {} if sheet.steps is None else {"step": sheet.steps[frames]}
        table |= {} if sheet.times is None else {"time": sheet.times[frames]}
        table |= {"id": values["id"], "species": Names(values["code"], names)}
        for prefix, name in (("", "position"), ("i", "image"), ("v", "velocity")):
            if name in values:
                table |= {f"{prefix}{axis}": values[name][:, k] for k, axis in enumerate("xyz"[: sheet.n_space])}
        table |= {} if "energy" not in values else {"energy": values["energy"]}
        table |= {name: values[f"column {name}"] for name in sheet.columns}
        yield block, table


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"' if any(sign in name for sign in ',"\n') else name
